package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A kind converts and checks the values of a scalar. Its methods return the value with the type of
// the field of the Config, or an error that says what to write instead.
type kind interface {
	// fromFile converts a value of TOML or YAML: a string, int64, float64, bool or another type.
	fromFile(value any) (any, error)
	// fromText converts a value of the environment or of a flag.
	fromText(text string) (any, error)
	// check checks the value of a field.
	check(value any) error
}

// An integer is a whole number from min to max.
type integer struct {
	min, max int64
	zeros    bool // a text may begin with zeros
}

func (k integer) fromFile(value any) (any, error) {
	switch v := value.(type) {
	case int64:
		return k.inRange(v)
	case float64:
		if n, ok := whole(v); ok {
			return nil, notAsWhole(n)
		}
	case string:
		if _, err := k.fromText(v); err == nil {
			return nil, fmt.Errorf("want a whole number, got the string %s; write it without quotes", show(v))
		}
	}
	return nil, fmt.Errorf("want a whole number, got %s; write a number from %d to %d",
		describe(value), k.min, k.max)
}

func (k integer) fromText(text string) (any, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	digits := text
	if k.zeros {
		digits = cmp.Or(strings.TrimLeft(text, "0"), "0")
	}
	// The second test refuses what a file refuses: "+5" and "05".
	if err != nil || strconv.FormatInt(n, 10) != digits {
		return nil, fmt.Errorf("want a whole number from %d to %d, got %s",
			k.min, k.max, show(text))
	}
	return k.inRange(n)
}

func (k integer) check(value any) error {
	_, err := k.inRange(int64(value.(int)))
	return err
}

func (k integer) inRange(n int64) (any, error) {
	if n < k.min || n > k.max {
		return nil, fmt.Errorf("%d is out of range; write a number from %d to %d", n, k.min, k.max)
	}
	return int(n), nil
}

// whole returns the whole number that is equal to v, if there is one.
func whole(v float64) (int64, bool) {
	const exact = 1 << 53 // up to which a float64 has every whole number
	return int64(v), v == math.Trunc(v) && math.Abs(v) <= exact
}

// notAsWhole refuses a number such as 8080.0 or 1e4, which both formats read as a float.
func notAsWhole(n int64) error {
	return fmt.Errorf("want a whole number, got one with a fraction or an exponent; write %d", n)
}

// A duration is a length of time from min to max, written with its unit.
type duration struct{ min, max time.Duration }

func (k duration) fromFile(value any) (any, error) {
	switch v := value.(type) {
	case string:
		return k.fromText(v)
	case int64, float64:
		return nil, noUnit(fmt.Sprint(v))
	}
	return nil, fmt.Errorf(`want a duration, got %s; write a number with its unit, such as "5s"`,
		describe(value))
}

func (k duration) fromText(text string) (any, error) {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return nil, noUnit(text)
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return nil, fmt.Errorf(
			`%s is not a duration; write a number with its unit, ms, s, m or h, such as "5s"`, show(text))
	}
	return d, k.check(d)
}

// noUnit refuses a bare number, which time.Duration would take as nanoseconds.
func noUnit(number string) error {
	return fmt.Errorf(`the number %s has no unit; write "%[1]ss" for seconds, or use ms, m or h`, clip(number))
}

func (k duration) check(value any) error {
	if d := value.(time.Duration); d < k.min || d > k.max {
		return fmt.Errorf(`%s is out of range; write a duration from "%s" to "%s"`,
			short(d), short(k.min), short(k.max))
	}
	return nil
}

// short formats a duration without zeros at its end: 5m, not 5m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Seconds is a length of time that is written as a number without a unit.
type Seconds float64

// Duration returns the length of time.
func (s Seconds) Duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }

// seconds is the kind of Seconds, from min to protocol.MaxWait.
type seconds struct{ min time.Duration }

// ParseSeconds reads the value of a flag that sets no key.
func ParseSeconds(text string) (time.Duration, error) {
	n, err := seconds{1}.fromText(text)
	if err != nil {
		return 0, err
	}
	return n.(Seconds).Duration(), nil
}

func (k seconds) fromFile(value any) (any, error) {
	switch value.(type) {
	case int64, float64:
		return k.fromText(fmt.Sprint(value))
	}
	return nil, fmt.Errorf("want a number, got %s; write one such as 5 or 0.5, without a unit", describe(value))
}

func (k seconds) fromText(text string) (any, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err == nil && n <= protocol.MaxWait.Seconds() && !math.Signbit(n) && Seconds(n).Duration() >= k.min {
		return Seconds(n), nil
	}
	above := ""
	if k.min > 0 {
		above = " above 0"
	}
	return nil, fmt.Errorf("%s is no number of seconds%s; write one such as 5 or 0.5, without a unit", show(text), above)
}

func (seconds) check(any) error { return nil }

// A boolean is true or false.
type boolean struct{}

func (boolean) fromFile(value any) (any, error) {
	if b, ok := value.(bool); ok {
		return b, nil
	}
	return nil, fmt.Errorf("want true or false, got %s", describe(value))
}

func (boolean) fromText(text string) (any, error) {
	if text == "true" || text == "false" {
		return text == "true", nil
	}
	return nil, fmt.Errorf("want true or false, got %s", show(text))
}

func (boolean) check(any) error { return nil }

// A choice is one of a few words.
type choice []string

func (k choice) fromFile(value any) (any, error) {
	if s, ok := value.(string); ok {
		return k.fromText(s)
	}
	hint := ""
	if slices.Contains(k, fmt.Sprint(value)) {
		hint = "; write it in quotes"
	}
	return nil, fmt.Errorf("want one of %s, got %s%s", strings.Join(k, ", "), describe(value), hint)
}

func (k choice) fromText(text string) (any, error) { return text, k.check(text) }

func (k choice) check(value any) error {
	if word := value.(string); !slices.Contains(k, word) {
		return fmt.Errorf("%s is not one of %s%s", show(word), strings.Join(k, ", "), didYouMean(word, k))
	}
	return nil
}

// A text is a string; wrong returns what is wrong with it, or nothing.
type text struct{ wrong func(string) string }

func (k text) fromFile(value any) (any, error) {
	if s, ok := value.(string); ok {
		return k.fromText(s)
	}
	return nil, fmt.Errorf("want a string, got %s; write it in quotes", describe(value))
}

func (k text) fromText(text string) (any, error) { return text, k.check(text) }

func (k text) check(value any) error {
	if wrong := k.wrong(value.(string)); wrong != "" {
		return errors.New(wrong)
	}
	return nil
}
