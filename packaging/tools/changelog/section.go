package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
)

// unreleased is the name of the section of the next release.
const unreleased = "Unreleased"

// A section lists the changes of one release.
type section struct {
	version string
	date    time.Time // zero if unreleased
	entries []string  // one line each
}

// parse reads a changelog in the format of https://keepachangelog.com: sections
// "## [1.2.3] - 2026-11-22" with lists of entries.
func parse(in io.Reader) ([]section, error) {
	var sections []section
	line := 0
	scanner := bufio.NewScanner(in)
	for scanner.Scan() {
		line++
		text := scanner.Text()
		if heading, ok := strings.CutPrefix(text, "## "); ok {
			s, err := parseHeading(heading)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", line, err)
			}
			sections = append(sections, s)
			continue
		}
		if len(sections) == 0 {
			continue // the introduction
		}
		s := &sections[len(sections)-1]
		entry, begins := strings.CutPrefix(text, "- ")
		switch {
		case begins:
			s.entries = append(s.entries, strings.TrimSpace(entry))
		case strings.HasPrefix(text, "  ") && len(s.entries) > 0:
			s.entries[len(s.entries)-1] += " " + strings.TrimSpace(text)
		}
	}
	return sections, scanner.Err()
}

func parseHeading(heading string) (section, error) {
	version, date, dated := strings.Cut(heading, " - ")
	version = strings.Trim(strings.TrimSpace(version), "[]")
	if !dated {
		if version != unreleased {
			return section{}, fmt.Errorf("the release %s has no date, such as: ## [%s] - 2026-11-22", version, version)
		}
		return section{version: version}, nil
	}
	at, err := time.Parse(time.DateOnly, strings.TrimSpace(date))
	if err != nil {
		return section{}, fmt.Errorf("the date of %s: %w", version, err)
	}
	return section{version: version, date: at}, nil
}

// width is the length of the longest line, in characters; lintian(1) wants at most 80.
const width = 78

// write writes the section as an entry of the package's changelog.
func (s section) write(out io.Writer, name, maintainer string) {
	// out is buffered and returns the first error from Flush.
	_, _ = fmt.Fprintf(out, "%s (%s) unstable; urgency=medium\n\n", name, debian(s.version))
	for _, entry := range s.entries {
		_, _ = io.WriteString(out, wrap(entry, "  * ", "    "))
	}
	if len(s.entries) == 0 {
		_, _ = io.WriteString(out, "  * Nothing that a user notices.\n")
	}
	_, _ = fmt.Fprintf(out, "\n -- %s  %s\n\n", maintainer, s.date.UTC().Format(time.RFC1123Z))
}

// wrap breaks text into lines. The first has the prefix first, the others the prefix rest.
func wrap(text, first, rest string) string {
	var b strings.Builder
	line := first
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == first || line == rest:
			line += word
		case len([]rune(line))+1+len([]rune(word)) > width:
			b.WriteString(line + "\n")
			line = rest + word
		default:
			line += " " + word
		}
	}
	return b.String() + line + "\n"
}
