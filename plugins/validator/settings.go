package validator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// A Factory makes a Validator from its settings: the table under `settings` in the agent's
// config, as one JSON object; nil or empty when there is none. A *SettingError names the
// key that is wrong; several may be joined with errors.Join.
type Factory func(settings []byte) (Validator, error)

// A SettingError says what is wrong with one key of a validator's settings.
type SettingError struct {
	// Key is the path of the key below the settings, such as "after_bad_step" or
	// "plan[2].step_id"; empty when the settings are wrong as a whole.
	Key string
	// Problem says what is wrong and what to do, in lower case and without a full stop.
	Problem string
}

// Error joins key and problem.
func (e *SettingError) Error() string {
	if e.Key == "" {
		return e.Problem
	}
	return e.Key + ": " + e.Problem
}

// DecodeSettings reads settings into the struct that into points to. What is absent or null
// keeps the value that the struct has, so fill in the defaults first. A key that is not
// exactly the json name of a field, one that stands twice, and a wrong type are refused with a
// *SettingError that names the key; inside a list the key has no index, for which
// DecodeSettingsAt is there.
func DecodeSettings(settings []byte, into any) error {
	return DecodeSettingsAt("", settings, into)
}

// DecodeSettingsAt is DecodeSettings for a table further in, whose own key is path. A list
// of tables is decoded as []json.RawMessage first and then element by element, with a path
// such as "plan[2]", so that an error names "plan[2].delay".
func DecodeSettingsAt(path string, settings []byte, into any) error {
	if len(bytes.TrimSpace(settings)) == 0 {
		return nil
	}
	if err := checkKeys(path, settings, reflect.TypeOf(into)); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(settings))
	if err := dec.Decode(into); err != nil {
		return settingError(path, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return &SettingError{Key: path, Problem: "want one table, got more"}
	}
	return nil
}

func settingError(path string, err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return &SettingError{Key: join(path, wrong.Field), Problem: typeProblem(wrong)}
	}
	return &SettingError{Key: path, Problem: strings.TrimPrefix(err.Error(), "json: ")}
}

// typeProblem says in the words of config files what encoding/json says in those of Go.
func typeProblem(wrong *json.UnmarshalTypeError) string {
	return fmt.Sprintf("want %s, got %s", wanted(wrong.Type, wrong.Value), gotten(wrong.Value))
}

func wanted(t reflect.Type, value string) string {
	atMost := func() string {
		if !strings.HasPrefix(value, "number ") {
			return ""
		}
		return fmt.Sprintf(" of at most %d bits", t.Bits()) // the number may be too large
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number" + atMost()
	case reflect.Float32, reflect.Float64:
		return "a number" + atMost()
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "a table"
	default:
		return t.String()
	}
}

func gotten(value string) string {
	switch value {
	case "string", "number":
		return "a " + value
	case "bool":
		return "true or false"
	case "array":
		return "a list"
	case "object":
		return "a table"
	default: // "number 1.5"
		return strings.TrimPrefix(value, "number ")
	}
}

func join(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}
