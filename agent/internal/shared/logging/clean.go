package logging

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Clean escapes what is not printable in text from outside, as in a Go string, so that printing
// it cannot move the cursor, change colours or begin a new line.
func Clean(text string) string {
	var b strings.Builder
	for rest := text; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		if printable(r, size) {
			b.WriteRune(r)
		} else {
			quoted := strconv.Quote(rest[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		rest = rest[size:]
	}
	return b.String()
}
