package web

import (
	"bytes"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

const (
	// maxDiffBytes is the size of both step files together that are compared, maxDiffLines how many lines of
	// the result are shown.
	maxDiffBytes = 1 << 20
	maxDiffLines = 2000
)

// A diffLine is a line of a comparison: added, removed, or there for context.
type diffLine struct{ Class, Sign, Text string }

// diffLines returns the differences between two step files; whole is false if some are left out.
func diffLines(before, after []byte) (lines []diffLine, whole bool) {
	if len(before)+len(after) > maxDiffBytes {
		return nil, false
	}
	text := diff.Diff("before", before, "after", after)
	for range 3 { // the lines that name the files
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	for line := range strings.Lines(string(text)) {
		if len(lines) == maxDiffLines {
			return lines, false
		}
		sign, rest := line[:1], strings.TrimSuffix(line[1:], "\n")
		class := map[string]string{"+": "added", "-": "removed", "@": "place"}[sign]
		if sign == "@" {
			sign, rest = "", strings.TrimSuffix(line, "\n")
		}
		lines = append(lines, diffLine{class, sign, rest})
	}
	return lines, true
}
