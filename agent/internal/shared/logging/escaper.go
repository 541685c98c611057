package logging

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// An escaper writes characters that are not printable as \uXXXX, which is an escape both in JSON
// strings and in quoted strings of the text format. slog's handlers escape most of them; the text
// format leaves DEL, and JSON the C1 controls and the bidirectional formatting characters.
type escaper struct{ w io.Writer }

// Write writes one line, which ends with a newline.
func (e escaper) Write(line []byte) (int, error) {
	if _, err := e.w.Write(escape(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}

func escape(line []byte) []byte {
	body, end := line, []byte(nil)
	if n := len(line); n > 0 && line[n-1] == '\n' {
		body, end = line[:n-1], line[n-1:]
	}
	clean := 0
	for clean < len(body) {
		r, size := utf8.DecodeRune(body[clean:])
		if !printable(r, size) {
			break
		}
		clean += size
	}
	if clean == len(body) {
		return line
	}
	out := append([]byte(nil), body[:clean]...)
	for rest := body[clean:]; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch high, low := utf16.EncodeRune(r); {
		case printable(r, size):
			out = append(out, rest[:size]...)
		case high != utf8.RuneError:
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		rest = rest[size:]
	}
	return append(out, end...)
}

// printable reports whether a decoded rune needs no escape.
func printable(r rune, size int) bool {
	return unicode.IsPrint(r) && !(r == utf8.RuneError && size == 1)
}
