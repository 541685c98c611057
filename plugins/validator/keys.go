package validator

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// checkKeys refuses keys of settings that the type t does not have, and those that stand
// twice, at every depth. Package encoding/json takes Seconds for seconds, and of two the last.
// What else is wrong with the settings is left to it.
func checkKeys(path string, settings []byte, t reflect.Type) error {
	w := walk{json.NewDecoder(bytes.NewReader(settings)), nil}
	w.value(path, t)
	if w.wrong == nil {
		return nil
	}
	return w.wrong
}

// A walk goes through the tokens of a JSON value beside the type that it is decoded into. It
// ends at the first mistake.
type walk struct {
	tokens *json.Decoder
	wrong  *SettingError
}

// value goes past one value; false ends the walk. The type is nil where any key will do.
func (w *walk) value(path string, t reflect.Type) bool {
	t = plain(t)
	token, err := w.tokens.Token()
	switch {
	case err != nil:
		return false
	case token == json.Delim('{'):
		return w.table(path, t)
	case token == json.Delim('['):
		var element reflect.Type
		if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
			element = t.Elem()
		}
		for w.tokens.More() {
			if !w.value(path, element) {
				return false
			}
		}
		return w.end()
	default:
		return true
	}
}

func (w *walk) table(path string, t reflect.Type) bool {
	var fields map[string]reflect.Type
	if t != nil && t.Kind() == reflect.Struct {
		fields = map[string]reflect.Type{}
		addFields(fields, t)
	}
	seen := map[string]bool{}
	for w.tokens.More() {
		token, err := w.tokens.Token()
		if err != nil {
			return false
		}
		key := token.(string) // the decoder takes nothing else for a key
		field, known := fields[key]
		switch {
		case fields != nil && !known:
			w.wrong = &SettingError{Key: join(path, key), Problem: "unknown key; " + hint(key, fields)}
			return false
		case seen[key]:
			w.wrong = &SettingError{Key: join(path, key), Problem: "stands twice; take one out"}
			return false
		}
		seen[key] = true
		if t != nil && t.Kind() == reflect.Map {
			field = t.Elem()
		}
		if !w.value(join(path, key), field) {
			return false
		}
	}
	return w.end()
}

// end goes past the end of a table or a list.
func (w *walk) end() bool {
	_, err := w.tokens.Token()
	return err == nil
}

// plain is the type behind pointers; nil when it decodes itself.
func plain(t reflect.Type) reflect.Type {
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

// addFields adds the fields of a struct by their json names, those of embedded structs too.
func addFields(fields map[string]reflect.Type, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		embedded := plain(f.Type)
		switch {
		case f.Tag.Get("json") == "-":
		case f.Anonymous && name == "" && embedded != nil && embedded.Kind() == reflect.Struct:
			addFields(fields, embedded)
		case f.IsExported():
			fields[cmp.Or(name, f.Name)] = f.Type
		}
	}
}

// hint says which key was meant where only case, - or _ differ, else which there are.
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
