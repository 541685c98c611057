package logging

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A cleaner stands before the handler of tint, which lets escape sequences through to the
// terminal where it has colour, writes messages raw, and cuts a value off at the first
// invalid byte where it has none. Byte slices it quotes in full, so that is what a string
// with something to escape becomes.
type cleaner struct{ slog.Handler }

// Handle cleans the record and passes it on.
func (c cleaner) Handle(ctx context.Context, r slog.Record) error {
	message := r.Message
	if !plain(message) {
		message = strconv.Quote(message)
	}
	clean := slog.NewRecord(r.Time, r.Level, message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(cleanAttr(a))
		return true
	})
	return c.Handler.Handle(ctx, clean)
}

// WithAttrs cleans what With was given.
func (c cleaner) WithAttrs(attrs []slog.Attr) slog.Handler {
	return cleaner{c.Handler.WithAttrs(cleanAttrs(attrs))}
}

// WithGroup cleans the name of the group.
func (c cleaner) WithGroup(name string) slog.Handler {
	return cleaner{c.Handler.WithGroup(cleanKey(name))}
}

func cleanAttrs(attrs []slog.Attr) []slog.Attr {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = cleanAttr(a)
	}
	return clean
}

func cleanAttr(a slog.Attr) slog.Attr {
	value := a.Value.Resolve()
	switch value.Kind() {
	case slog.KindString:
		value = cleanText(value.String())
	case slog.KindGroup:
		value = slog.GroupValue(cleanAttrs(value.Group())...)
	case slog.KindAny:
		switch v := value.Any().(type) {
		case nil, []byte:
		default:
			value = cleanText(fmt.Sprintf("%+v", v)) // which recovers from the panics of v
		}
	}
	return slog.Attr{Key: cleanKey(a.Key), Value: value}
}

func cleanText(s string) slog.Value {
	if strconv.Quote(s) == `"`+s+`"` && plain(s) {
		return slog.StringValue(s)
	}
	return slog.AnyValue([]byte(s))
}

// plain reports whether every character is printable. U+FFFD counts as not: tint takes it
// for an invalid byte.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) })
}

// cleanKey puts _ for whatever would need quotes in a key.
func cleanKey(key string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`"=\`, r) {
			return '_'
		}
		return r
	}, key)
}
