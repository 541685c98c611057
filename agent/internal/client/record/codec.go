package record

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const kindName = "event"

// appendEvent appends the line of an event, with its newline.
func appendEvent(dst []byte, e *Event) ([]byte, error) {
	fields, known := eventFields(e.Kind)
	switch {
	case !known:
		return nil, fmt.Errorf("%q is no kind of event", e.Kind)
	case e.Kind == KindStart && e.Start == nil, e.Kind == KindEnd && e.End == nil:
		return nil, fmt.Errorf("a %s with nothing in it", e.Kind)
	}
	kind := field[Event]{name: kindName, at: func(e *Event) any { return &e.Kind }}
	object, err := encodeObject(e, append([]field[Event]{kind}, fields...))
	if err != nil {
		return nil, err
	}
	return append(append(dst, object...), '\n'), nil
}

// decodeEvent reads the line of an event, without its newline.
func decodeEvent(line []byte) (Event, error) {
	members, err := decodeMembers(line)
	if err != nil {
		return Event{}, err
	}
	raw, ok := members[kindName]
	if !ok {
		return Event{}, fmt.Errorf("%s is missing", kindName)
	}
	var e Event
	if err := decodeMember(kindName, raw, &e.Kind); err != nil {
		return Event{}, err
	}
	delete(members, kindName)
	fields, known := eventFields(e.Kind)
	if !known {
		return Event{}, fmt.Errorf("%q is no kind of event", e.Kind)
	}
	switch e.Kind {
	case KindStart:
		e.Start = &Start{}
	case KindEnd:
		e.End = &End{}
	}
	return e, decodeFields(members, &e, fields)
}

// encodeObject writes v as a JSON object with the given members.
func encodeObject[T any](v *T, fields []field[T]) ([]byte, error) {
	out := []byte{'{'}
	for _, f := range fields {
		if f.absent != nil && f.absent(v) {
			continue
		}
		value, err := json.Marshal(f.at(v), marshalers())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		if string(value) == "null" {
			return nil, fmt.Errorf("%s is missing", f.name)
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(append(out, '"'), f.name...), `":`...), value...)
	}
	return append(out, '}'), nil
}

// decodeObject reads a JSON object that has exactly the given members.
func decodeObject[T any](raw []byte, v *T, fields []field[T]) error {
	members, err := decodeMembers(raw)
	if err != nil {
		return err
	}
	return decodeFields(members, v, fields)
}

// decodeMembers cuts a JSON object into its members. Duplicate names and invalid UTF-8 are
// refused.
func decodeMembers(raw []byte) (map[string]jsontext.Value, error) {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", plain(err))
	}
	if members == nil {
		return nil, errors.New("not a JSON object: null")
	}
	return members, nil
}

func decodeFields[T any](members map[string]jsontext.Value, v *T, fields []field[T]) error {
	for _, f := range fields {
		raw, ok := members[f.name]
		switch {
		case ok:
			if err := decodeMember(f.name, raw, f.at(v)); err != nil {
				return err
			}
		case f.absent == nil || !f.absent(v):
			return fmt.Errorf("%s is missing", f.name)
		}
		delete(members, f.name)
	}
	if len(members) > 0 {
		return fmt.Errorf("%q is not known here", slices.Min(slices.Collect(maps.Keys(members))))
	}
	return nil
}

func decodeMember(name string, raw jsontext.Value, into any) error {
	if raw.Kind() == jsontext.KindNull {
		return fmt.Errorf("%s must not be null", name)
	}
	if err := json.Unmarshal(raw, into, unmarshalers()); err != nil {
		return fmt.Errorf("%s: %w", name, plain(err))
	}
	return nil
}

// plain takes the name of the library and of Go types from an error about a value.
func plain(err error) error {
	var semantic *json.SemanticError
	if errors.As(err, &semantic) && semantic.Err != nil {
		return semantic.Err
	}
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) && syntactic.Err != nil {
		return syntactic.Err
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}
