package agent_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"
)

// blockLines is how many lines of code make a block that must not be repeated.
const blockLines = 6

// repeats are the pairs of files that may share a block, and why.
var repeats = map[[2]string]string{
	{"agent/protocol/reason.go", "plugins/validator/validator.go"}: "the wire and the contract of validators are independent of each other",
}

// TestNoRepeats: no block of six lines is repeated in code that is neither a test nor generated.
// Blank lines, comments, imports and lines without a letter or a digit do not count.
func TestNoRepeats(t *testing.T) {
	first := map[string]codeLine{}
	met := map[[2]string]bool{}
	for _, f := range code(t) {
		lines := codeLines(f)
		for i := range len(lines) - blockLines + 1 {
			block := blockOf(lines[i : i+blockLines])
			before, ok := first[block]
			if !ok {
				first[block] = lines[i]
				continue
			}
			pair := [2]string{before.file, f.path}
			slices.Sort(pair[:])
			met[pair] = true
			if repeats[pair] == "" {
				t.Errorf("%s:%d repeats %s:%d: share the code, or say in repeats why not", f.path, lines[i].number, before.file, before.number)
			}
		}
	}
	for pair := range repeats {
		if !met[pair] {
			t.Errorf("%s and %s share no block: remove the pair from repeats", pair[0], pair[1])
		}
	}
}

// A codeLine is a line of code, without white space and comment around it.
type codeLine struct {
	file   string
	number int
	text   string
}

// codeLines returns the lines of a file that count.
func codeLines(f *sourceFile) (lines []codeLine) {
	end := positions.Position(f.syntax.Name.End()).Line
	for _, d := range f.syntax.Imports {
		end = positions.Position(d.End()).Line
	}
	for i, text := range strings.Split(string(f.text), "\n") {
		text = strings.TrimSpace(text)
		if at := strings.Index(text, " //"); at >= 0 {
			text = strings.TrimSpace(text[:at])
		}
		if i < end || strings.HasPrefix(text, "//") || !strings.ContainsFunc(text, isWord) {
			continue
		}
		lines = append(lines, codeLine{f.path, i + 1, text})
	}
	return lines
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

func blockOf(lines []codeLine) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.text)
		b.WriteByte('\n')
	}
	return b.String()
}
