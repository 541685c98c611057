package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// shownRunes is the length in characters to which messages cut a value.
const shownRunes = 48

// clip cuts a value to shownRunes.
func clip(s string) string {
	if utf8.RuneCountInString(s) <= shownRunes {
		return s
	}
	return string([]rune(s)[:shownRunes]) + "..."
}

// show quotes a string for a message.
func show(s string) string { return strconv.Quote(clip(s)) }

// describe names the type of a value of a file, and the value if that helps.
func describe(value any) string {
	switch v := value.(type) {
	case nil:
		return "no value"
	case string:
		return "the string " + show(v)
	case int64:
		return fmt.Sprintf("the number %d", v)
	case float64:
		return "the number " + strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case table:
		return "a table"
	case list:
		return "a list"
	case tooDeep:
		return "what is nested too deep"
	default:
		return "a date or time"
	}
}

// printable reports whether all characters of s are printable.
func printable(s string) bool { return logging.Clean(s) == s }

// bare reports whether a key needs no quotes in TOML.
func bare(key string) bool {
	return key != "" && !strings.ContainsFunc(key, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-')
	})
}

// join returns the path of a key below parent.
func join(parent, key string) string {
	key = clip(key)
	if !bare(key) {
		key = strconv.Quote(key)
	}
	if parent == "" {
		return key
	}
	return parent + "." + key
}

// elementPath returns the path of an element of the list at parent, counted from 0.
func elementPath(parent string, index int) string {
	return parent + "[" + strconv.Itoa(index) + "]"
}
