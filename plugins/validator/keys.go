package validator

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// checkKeys refuses unknown and duplicate keys in settings for the type t, at every depth. Package
// encoding/json ignores the case of keys and accepts duplicates. Other errors are left to it.
func checkKeys(path string, settings []byte, t reflect.Type) error {
	err := keyChecker{json.NewDecoder(bytes.NewReader(settings))}.value(path, t)
	if wrong, ok := errors.AsType[*SettingError](err); ok {
		return wrong
	}
	return nil // the decoder reports a syntax error
}

// A keyChecker reads the tokens of a JSON value and compares keys with the type that the value is
// decoded into. It returns the first error.
type keyChecker struct{ tokens *json.Decoder }

// value checks one value. The type is nil if any key is allowed.
func (c keyChecker) value(path string, t reflect.Type) error {
	t = elementary(t)
	token, err := c.tokens.Token()
	switch {
	case err != nil:
		return err
	case token == json.Delim('{'):
		return c.table(path, t)
	case token == json.Delim('['):
		var element reflect.Type
		if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
			element = t.Elem()
		}
		for c.tokens.More() {
			if err := c.value(path, element); err != nil {
				return err
			}
		}
		_, err = c.tokens.Token()
	}
	return err
}

func (c keyChecker) table(path string, t reflect.Type) error {
	var fields map[string]reflect.Type
	if t != nil && t.Kind() == reflect.Struct {
		fields = map[string]reflect.Type{}
		addFields(fields, t)
	}
	seen := map[string]bool{}
	for c.tokens.More() {
		token, err := c.tokens.Token()
		if err != nil {
			return err
		}
		key := token.(string) // the decoder accepts no other token as a key
		field, known := fields[key]
		switch {
		case fields != nil && !known:
			return &SettingError{Key: join(path, key), Problem: "unknown key; " + hint(key, fields)}
		case seen[key]:
			return &SettingError{Key: join(path, key), Problem: "duplicate key; remove one"}
		}
		seen[key] = true
		if t != nil && t.Kind() == reflect.Map {
			field = t.Elem()
		}
		if err := c.value(join(path, key), field); err != nil {
			return err
		}
	}
	_, err := c.tokens.Token()
	return err
}

// elementary returns the type behind pointers, or nil if the type has an UnmarshalJSON.
func elementary(t reflect.Type) reflect.Type {
	for t != nil {
		if t.Implements(reflect.TypeFor[json.Unmarshaler]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
			return nil
		}
		if t.Kind() != reflect.Pointer {
			return t
		}
		t = t.Elem()
	}
	return nil
}

// addFields adds the fields of a struct and of its embedded structs, by their json names.
func addFields(fields map[string]reflect.Type, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		embedded := elementary(f.Type)
		switch {
		case f.Tag.Get("json") == "-":
		case f.Anonymous && name == "" && embedded != nil && embedded.Kind() == reflect.Struct:
			addFields(fields, embedded)
		case f.IsExported():
			fields[cmp.Or(name, f.Name)] = f.Type
		}
	}
}

// hint returns the key that was probably meant, which differs only in case, - or _, or else all keys.
func hint(key string, fields map[string]reflect.Type) string {
	known := slices.Sorted(maps.Keys(fields))
	letters := strings.NewReplacer("-", "", "_", "")
	for _, name := range known {
		if strings.EqualFold(letters.Replace(key), letters.Replace(name)) {
			return "did you mean " + name + "?"
		}
	}
	if len(known) == 0 {
		return "there are none here"
	}
	return "the keys here are " + strings.Join(known, ", ")
}
