package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// A work is the stanza of a module in the copyright file.
type work struct {
	*module
	holders  []string // such as "2014 The Go Authors"
	licences []licence
	notices  []string // texts that copies must include (Apache-2.0, section 4d)
}

// A licence is a text with its name in the SPDX list, or several names joined by "and".
type licence struct{ name, text string }

// leastCovered is the part of a licence file that must be text of a known licence, in percent.
// The rest is names and years.
const leastCovered = 75

// The names of files with licences and with notices.
var (
	licenceName = regexp.MustCompile(`(?i)^(LICENSE|LICENCE|COPYING|COPYRIGHT)(\.txt|\.md)?$`)
	noticeName  = regexp.MustCompile(`(?i)^NOTICE(\.txt|\.md)?$`)
)

// work reads the licences, notices and copyright holders of the module.
func (m *module) work() (work, error) {
	w := work{module: m}
	files, texts, err := m.read(licenceName)
	if err != nil {
		return work{}, err
	}
	if len(files) == 0 {
		return work{}, fmt.Errorf("%s has no licence file in %s", m.Path, m.Dir)
	}
	for i, text := range texts {
		name, err := recognise([]byte(text))
		if err != nil {
			return work{}, fmt.Errorf("%s: %w", files[i], err)
		}
		w.licences = append(w.licences, licence{name, text})
	}
	if _, w.notices, err = m.read(noticeName); err != nil {
		return work{}, err
	}
	w.holders, err = holders(append(files, m.files...))
	if err == nil && len(w.holders) == 0 {
		w.holders = []string{"the authors of " + m.Path}
	}
	return w, err
}

// recognise returns the names of the licences in a text.
func recognise(text []byte) (string, error) {
	coverage := licensecheck.Scan(text)
	if coverage.Percent < leastCovered {
		return "", fmt.Errorf("%.0f %% of it is a known licence, want %d; read it", coverage.Percent, leastCovered)
	}
	var names []string
	for _, match := range coverage.Match {
		if !slices.Contains(names, match.ID) {
			names = append(names, match.ID)
		}
	}
	return strings.Join(names, " and "), nil
}

// headLines is the number of lines at the start of a file that are searched for a copyright notice.
const headLines = 40

// notice matches a line such as "// Copyright (c) 2014 A. Author <a@example.org>. All rights reserved."
var notice = regexp.MustCompile(`^[\s/*#;-]*Copyright\s+(?:(?:\([cC]\)|©)\s*)?((?:[0-9]{4}|[A-Z]).*?)[\s*/]*$`)

// closing and stop match text after the names: a fixed phrase, and a full stop.
var (
	closing = regexp.MustCompile(`(?i)[.,]?\s*All rights reserved\.?$`)
	stop    = regexp.MustCompile(`(?i)(authors|>)\.$`)
)

// holders returns the copyright holders that the heads of the files name, sorted.
func holders(files []string) ([]string, error) {
	var found []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		lines := strings.SplitN(string(text), "\n", headLines+1)
		for _, line := range lines[:min(len(lines), headLines)] {
			match := notice.FindStringSubmatch(line)
			if match == nil || strings.HasPrefix(match[1], "[") || strings.Contains(match[1], "yyyy") {
				continue
			}
			who := strings.TrimSpace(closing.ReplaceAllString(match[1], ""))
			who = stop.ReplaceAllString(who, "$1")
			if isHolder(who) {
				found = append(found, who)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// isHolder rejects sentences of licence texts that begin with the word "Copyright".
func isHolder(who string) bool {
	first, _, _ := strings.Cut(who, " ")
	return !slices.Contains([]string{"License.", "License", "Notice", "and", ""}, first)
}
