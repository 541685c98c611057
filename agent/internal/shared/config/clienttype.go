package config

import (
	"fmt"
	"strconv"
	"strings"
)

// A ClientType is the type of a client's setting in a file.
type ClientType uint8

// The types.
const (
	// Text is a string.
	Text ClientType = iota
	// Whole is a whole number.
	Whole
	// Number is a number, fractions allowed.
	Number
)

// A clientKind is the kind of a client's setting; its value is the text that the flag accepts.
type clientKind struct {
	ClientType
	wrong func(text string) error
}

func (k clientKind) fromFile(value any) (any, error) {
	text, err := k.text(value)
	if err != nil {
		return nil, err
	}
	return k.fromText(text)
}

func (k clientKind) fromText(text string) (any, error) {
	if err := k.wrong(text); err != nil {
		return nil, fmt.Errorf("wrong value %s: %w", show(text), err)
	}
	return text, nil
}

func (k clientKind) check(value any) error {
	_, err := k.fromText(value.(string))
	return err
}

// text returns a value of a file as text that its flag accepts.
func (t ClientType) text(value any) (string, error) {
	switch v := value.(type) {
	case string:
		if t == Text {
			return v, nil
		}
		if _, err := strconv.ParseFloat(v, 64); err == nil {
			return "", fmt.Errorf("want %s, got the string %s; write it without quotes", t.what(), show(v))
		}
	case int64:
		if t != Text {
			return strconv.FormatInt(v, 10), nil
		}
		return "", fmt.Errorf("want %s, got the number %d; write it in quotes", t.what(), v)
	case float64:
		number := strconv.FormatFloat(v, 'f', -1, 64)
		switch {
		case t == Number:
			return number, nil
		case t == Whole && !strings.Contains(number, "."):
			return "", fmt.Errorf("want %s, got one with a point or an exponent; write %s", t.what(), clip(number))
		}
	}
	return "", fmt.Errorf("want %s, got %s; write one such as %s", t.what(), describe(value), t.example())
}

func (t ClientType) example() string {
	switch t {
	case Whole:
		return "5"
	case Number:
		return "5 or 0.5, without a unit"
	default:
		return `"bench-7"`
	}
}

func (t ClientType) what() string {
	switch t {
	case Whole:
		return "a whole number"
	case Number:
		return "a number"
	default:
		return "a string"
	}
}
