package logging

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
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
	body, end := bytes.CutSuffix(line, []byte{'\n'})
	clean := escapeRunes(body, func(dst []byte, r rune, _ []byte) []byte {
		if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
			return fmt.Appendf(dst, `\u%04x\u%04x`, high, low)
		}
		return fmt.Appendf(dst, `\u%04x`, r)
	})
	if len(clean) == len(body) {
		return line // nothing was escaped
	}
	if end {
		clean = append(clean, '\n')
	}
	return clean
}

// Clean escapes what is not printable in text from outside, as in a Go string, so that printing
// it cannot move the cursor, change colours or begin a new line.
func Clean(text string) string {
	return string(escapeRunes([]byte(text), func(dst []byte, _ rune, raw []byte) []byte {
		quoted := strconv.Quote(string(raw))
		return append(dst, quoted[1:len(quoted)-1]...)
	}))
}

// escapeRunes replaces each rune of text that is not printable by what appendEscape appends for it
// and its bytes. It returns text itself if all are printable.
func escapeRunes(text []byte, appendEscape func(dst []byte, r rune, raw []byte) []byte) []byte {
	var out []byte
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch printable := unicode.IsPrint(r) && !(r == utf8.RuneError && size == 1); {
		case !printable && out == nil:
			out = appendEscape(slices.Clone(text[:i]), r, text[i:i+size])
		case !printable:
			out = appendEscape(out, r, text[i:i+size])
		case out != nil:
			out = append(out, text[i:i+size]...)
		}
		i += size
	}
	if out == nil {
		return text
	}
	return out
}
