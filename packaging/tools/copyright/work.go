package main

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// A work is what the copyright file says of a module.
type work struct {
	name     string   // path and version
	own      bool     // the command's own module
	holders  []string // as "2014 Somebody"
	licences []licence
	notices  []string // texts that must go where the work goes (Apache-2.0, section 4d)
}

// A licence is a text with its name in the SPDX list, or several names joined by "and".
type licence struct{ name, text string }

// leastCovered is how much of a licence file must be a known licence, in percent. The rest
// is names and years.
const leastCovered = 75

// work reads what the module says of itself.
func (m *module) work() (work, error) {
	w := work{name: strings.TrimSpace(m.path + " " + m.version), own: m.main}
	files, err := m.legal("LICENSE", "LICENCE", "COPYING", "COPYRIGHT")
	if err != nil {
		return work{}, err
	}
	if len(files) == 0 {
		return work{}, fmt.Errorf("%s has no licence file in %s", m.path, m.dir)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return work{}, err
		}
		name, err := recognise(text)
		if err != nil {
			return work{}, fmt.Errorf("%s: %w", file, err)
		}
		w.licences = append(w.licences, licence{name, string(text)})
	}
	notices, err := m.legal("NOTICE")
	if err != nil {
		return work{}, err
	}
	for _, file := range notices {
		text, err := os.ReadFile(file)
		if err != nil {
			return work{}, err
		}
		w.notices = append(w.notices, string(text))
	}
	w.holders, err = holders(append(files, m.files...))
	if err == nil && len(w.holders) == 0 {
		w.holders = []string{"the authors of " + m.path}
	}
	return w, err
}

// recognise returns the names of the licences that a text consists of.
func recognise(text []byte) (string, error) {
	coverage := licensecheck.Scan(text)
	if coverage.Percent < leastCovered {
		return "", fmt.Errorf("%.0f %% of it is a known licence, want %d: look at it", coverage.Percent, leastCovered)
	}
	var names []string
	for _, match := range coverage.Match {
		if !slices.Contains(names, match.ID) {
			names = append(names, match.ID)
		}
	}
	return strings.Join(names, " and "), nil
}

// headLines is how far into a file a notice of copyright is looked for.
const headLines = 40

// notice is a line such as "// Copyright (c) 2014 Somebody <who@example.org>. All rights reserved."
var notice = regexp.MustCompile(`^[\s/*#;-]*Copyright\s+(?:(?:\([cC]\)|©)\s*)?((?:[0-9]{4}|[A-Z]).*?)[\s*/]*$`)

// closing is what stands behind the names and says nothing of them, and stop the end of a
// sentence behind them.
var (
	closing = regexp.MustCompile(`(?i)[.,]?\s*All rights reserved\.?$`)
	stop    = regexp.MustCompile(`(?i)(authors|>)\.$`)
)

// holders returns who claims copyright at the head of the files, sorted.
func holders(files []string) ([]string, error) {
	var found []string
	for _, file := range files {
		lines, err := head(file)
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			match := notice.FindStringSubmatch(line)
			if match == nil || strings.HasPrefix(match[1], "[") || strings.Contains(match[1], "yyyy") {
				continue
			}
			who := strings.TrimSpace(closing.ReplaceAllString(match[1], ""))
			who = stop.ReplaceAllString(who, "$1")
			if isHolder(who) && !slices.Contains(found, who) {
				found = append(found, who)
			}
		}
	}
	slices.Sort(found)
	return found, nil
}

// isHolder keeps out sentences of licence texts that begin with the word "Copyright".
func isHolder(who string) bool {
	first, _, _ := strings.Cut(who, " ")
	return first != "License." && first != "License" && first != "Notice" && first != "and" && who != ""
}

func head(file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	var lines []string
	for scanner := bufio.NewScanner(f); len(lines) < headLines && scanner.Scan(); {
		lines = append(lines, scanner.Text())
	}
	return lines, nil
}
