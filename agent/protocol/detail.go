package protocol

import (
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Limits on the details of errors, in bytes.
const (
	maxDetailBytes = 200
	// maxQuoteBytes is how much of a message is quoted in a detail.
	maxQuoteBytes = 80
)

// quote returns part of a message for a detail, escaped and shortened.
func quote(raw []byte) string {
	// Cut first: raw may be as long as the message.
	return printable(string(raw[:min(len(raw), maxQuoteBytes+utf8.UTFMax)]), maxQuoteBytes)
}

// printable returns s with escapes for what does not print, shortened to limit bytes including the
// dots at its end.
func printable(s string, limit int) string {
	const dots = "..."
	out := make([]byte, 0, min(len(s), limit))
	cut := 0 // where the dots go if s does not fit
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			out = fmt.Appendf(out, `\x%02x`, s[0])
		case unicode.IsPrint(r):
			out = append(out, s[:size]...)
		default:
			escaped := strconv.QuoteRune(r)
			out = append(out, escaped[1:len(escaped)-1]...)
		}
		s = s[size:]
		if len(out) > limit {
			return string(out[:cut]) + dots
		}
		if len(out) <= limit-len(dots) {
			cut = len(out)
		}
	}
	return string(out)
}
