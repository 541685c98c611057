package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A listing is up to max strings; wrong returns what is wrong with one, or nothing. In the environment
// and in flags they are separated by commas.
type listing struct {
	max     int
	none    string // what to do about an empty one; empty where that is allowed
	example string
	wrong   func(string) string
}

// elementErrors say what is wrong with elements of a list, by number.
type elementErrors map[int]string

func (e elementErrors) Error() string { return fmt.Sprintf("%d elements are wrong", len(e)) }

func (k listing) fromFile(value any) (any, error) {
	l, ok := value.(list)
	if !ok {
		return nil, fmt.Errorf("want a list of strings, got %s; write one such as %s", describe(value), k.example)
	}
	texts, wrong := make([]string, len(l)), elementErrors{}
	for i, element := range l {
		text, ok := element.value.(string)
		if !ok {
			wrong[i] = "want a string, got " + describe(element.value)
		} else if w := k.wrong(text); w != "" {
			wrong[i] = w
		}
		texts[i] = text
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return texts, k.check(texts)
}

func (k listing) fromText(text string) (any, error) {
	texts := strings.Split(text, ",")
	for i := range texts {
		texts[i] = strings.TrimSpace(texts[i])
	}
	return texts, k.check(texts)
}

func (k listing) check(value any) error {
	switch texts := value.([]string); {
	case len(texts) == 0 && k.none != "":
		return errors.New("the list is empty; " + k.none)
	case len(texts) > k.max:
		return fmt.Errorf("%d entries are too many; keep to %d", len(texts), k.max)
	default:
		if i := slices.IndexFunc(texts, func(s string) bool { return k.wrong(s) != "" }); i >= 0 {
			return errors.New(k.wrong(texts[i]))
		}
		return nil
	}
}
