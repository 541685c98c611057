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

// A cleaner escapes records for the handler of tint. With colour, tint passes escape sequences
// through; without, it cuts a value at the first invalid byte; messages it never escapes. It
// quotes byte slices in full, so a string that needs escapes becomes one.
type cleaner struct{ slog.Handler }

// Handle cleans the record and passes it to the handler.
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

// WithAttrs cleans the attributes.
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
			value = cleanText(fmt.Sprintf("%+v", v)) // Sprintf recovers from panics of v
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

// plain reports whether every character is printable. U+FFFD is not: tint takes it for an invalid
// byte.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) })
}

// cleanKey replaces characters that would need quotes in a key by _.
func cleanKey(key string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`"=\`, r) {
			return '_'
		}
		return r
	}, key)
}
