package stepfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// parseID parses a step_id; problem is empty if it is sound.
func parseID(raw jsontext.Value) (id int64, problem string) {
	if problem := notNumber(raw, "a whole number"); problem != "" {
		return 0, problem
	}
	id, err := strconv.ParseInt(string(raw), 10, 64)
	switch {
	case err == nil:
		return id, ""
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Sprintf("%.40s does not fit into 64 bits", raw)
	default:
		return 0, fmt.Sprintf("must be a whole number, not %.40s; write it without a fraction or an exponent", raw)
	}
}

// parseSeconds parses a timeout or an interval, to the nearest nanosecond.
func parseSeconds(raw jsontext.Value) (wait time.Duration, problem string) {
	if problem := notNumber(raw, "a number of seconds"); problem != "" {
		return 0, problem
	}
	seconds, err := strconv.ParseFloat(string(raw), 64)
	switch {
	// A number too large for a float64 is infinite, which the limit catches.
	case err != nil && !errors.Is(err, strconv.ErrRange):
		return 0, fmt.Sprintf("must be a number of seconds, not %.40s", raw)
	case seconds < 0:
		return 0, fmt.Sprintf("must not be negative, got %.40s", raw)
	case seconds > MaxWait.Seconds():
		return 0, fmt.Sprintf("%.40s s is longer than the longest wait, %.0f s", raw, MaxWait.Seconds())
	default:
		// Rounded, not truncated: 0.29 has no exact float64.
		return time.Duration(math.Round(seconds * float64(time.Second))), ""
	}
}

// parseData parses the data of a step. The offset of a problem counts from the value's start.
func parseData(raw jsontext.Value) (data []byte, offset int, problem string) {
	if kind := raw.Kind(); kind != '{' {
		return nil, 0, "must be an object, not " + kindName(kind)
	}
	// The parser's decoder allows duplicate names; data must have none.
	var syntactic *jsontext.SyntacticError
	if err := jsontext.NewDecoder(bytes.NewReader(raw)).SkipValue(); errors.As(err, &syntactic) {
		return nil, int(syntactic.ByteOffset), syntactic.Err.Error()
	}
	compact := raw.Clone()
	if err := compact.Compact(); err != nil {
		return nil, 0, err.Error()
	}
	return compact, 0, ""
}

// notNumber says what a value is that should be a number; empty if it is a number.
func notNumber(raw jsontext.Value, want string) string {
	switch kind := raw.Kind(); {
	case kind == '0':
		return ""
	case kind == '"' && jsontext.Value(bytes.Trim(raw, `"`)).Kind() == '0':
		return fmt.Sprintf("must be %s, not a string; write it without the quotes", want)
	default:
		return fmt.Sprintf("must be %s, not %s", want, kindName(kind))
	}
}

// kindName is a kind of JSON value in words.
func kindName(kind jsontext.Kind) string {
	names := map[jsontext.Kind]string{
		'n': "null", 't': "true or false", 'f': "true or false", '"': "a string", '0': "a number", '{': "an object", '[': "a list",
	}
	return cmp.Or(names[kind], "something else")
}
