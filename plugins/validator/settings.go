package validator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
)

// A Factory makes a Validator from its settings: the table `settings` in the agent's config, as a JSON
// object; nil or empty if there is none. It returns a *SettingError for a wrong key; several may be
// joined with errors.Join or collected in Problems.
type Factory func(settings []byte) (Validator, error)

// A SettingError is an error in one key of a validator's settings.
type SettingError struct {
	// Key is the path of the key, such as "after_bad_step" or "plan[2].step_id"; empty for the
	// settings as a whole.
	Key string
	// Problem says what is wrong and what to do: lower case, no full stop.
	Problem string
}

// Error returns the key and the problem.
func (e *SettingError) Error() string {
	if e.Key == "" {
		return e.Problem
	}
	return e.Key + ": " + e.Problem
}

// Problems collects the errors of a table of settings. The zero value is for the settings as a whole.
type Problems struct {
	Path string // the path of the table
	errs []error
}

// Add adds a SettingError for a key of the table.
func (p *Problems) Add(key, format string, args ...any) {
	p.errs = append(p.errs, &SettingError{Key: join(p.Path, key), Problem: fmt.Sprintf(format, args...)})
}

// Err returns the collected errors, joined, or nil.
func (p *Problems) Err() error { return errors.Join(p.errs...) }

// DecodeSettings decodes settings into the struct that into points to. A key that is absent or null
// leaves its field as it is, so set the defaults first. A key that is not exactly the json name of
// a field, a duplicate key, and a wrong type are a *SettingError with the path of the key. The
// path has no index for elements of a list; see DecodeSettingsAt.
func DecodeSettings(settings []byte, into any) error {
	return DecodeSettingsAt("", settings, into)
}

// DecodeSettingsAt decodes the table at path, as DecodeSettings does. Decode a list of tables as
// []json.RawMessage first and then each element with a path such as "plan[2]", so that an error
// names "plan[2].delay".
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

// typeProblem returns an error of encoding/json in the words of config files.
func typeProblem(wrong *json.UnmarshalTypeError) string {
	return fmt.Sprintf("want %s, got %s", typeName(wrong.Type, wrong.Value), valueName(wrong.Value))
}

func typeName(t reflect.Type, value string) string {
	atMost := func() string {
		if !strings.HasPrefix(value, "number ") {
			return ""
		}
		return fmt.Sprintf(" of at most %d bits", t.Bits())
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

func valueName(value string) string {
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

// FormatSeconds returns a duration in seconds, with as few decimals as are exact. A float64 cannot hold
// the nanoseconds of long durations.
func FormatSeconds(d time.Duration) string {
	fraction := strings.TrimRight(fmt.Sprintf("%09d", int64(d%time.Second)), "0")
	return strings.TrimSuffix(fmt.Sprintf("%d.%s", int64(d/time.Second), fraction), ".")
}

func join(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}
