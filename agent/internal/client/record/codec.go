package record

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
	"github.com/stepagent/stepagent/agent/protocol"
)

// members are the JSON names of an event's fields, in the order in which they are written after
// "event". A member with "?" is left out where its field is zero; all others are required. This
// is the format of the record.
var members = map[Kind]string{
	KindStart:       "at format client agent? host address addresses? session? time procedure",
	KindTLS:         "at version server client_subject? keylog?",
	KindSent:        "at index step_id address? req? timeout interval",
	KindAgain:       "at index step_id address? cause took detail? reply?",
	KindResent:      "at index step_id address?",
	KindReply:       "at index step_id took reply",
	KindLate:        "at index step_id took reply",
	KindTimeout:     "at index step_id took",
	KindLost:        "at index step_id took detail",
	KindWrong:       "at index step_id took detail reply?",
	KindUnreachable: "at index step_id detail",
	KindStray:       "at stray detail reply?",
	strayOfStep:     "at index step_id stray detail reply?",
	KindDropped:     "at count",
	KindInterval:    "at index step_id interval kept",
	KindResumed:     "at away time address? addresses?",
	KindEnd:         "at cause counts",
}

// strayOfStep is the key of members for a KindStray that concerns a step.
const strayOfStep Kind = "stray of a step"

// membersOf returns the members of a kind of events.
func membersOf(kind Kind, ofStep bool) ([]string, error) {
	format, known := members[kind]
	if !known || kind == strayOfStep {
		return nil, fmt.Errorf("%q is no kind of event", kind)
	}
	if kind == KindStray && ofStep {
		format = members[strayOfStep]
	}
	return strings.Fields(format), nil
}

// appendEvent appends the line of an event, with its newline.
func appendEvent(dst []byte, e *Event) ([]byte, error) {
	names, err := membersOf(e.Kind, e.Index != 0)
	switch {
	case err != nil:
		return nil, err
	case e.Kind == KindStart && e.Start == nil, e.Kind == KindAgain && e.Again == nil, e.Kind == KindTLS && e.TLS == nil,
		e.Kind == KindResumed && e.Resumed == nil, e.Kind == KindEnd && e.End == nil:
		return nil, fmt.Errorf("a %s with nothing in it", e.Kind)
	}
	dst = fmt.Appendf(dst, `{"event":%q`, e.Kind)
	for _, name := range names {
		name, optional := strings.CutSuffix(name, "?")
		field := fieldOf(reflect.ValueOf(e), name)
		if optional && field.IsZero() {
			continue
		}
		value, err := json.Marshal(field.Addr().Interface(), codec)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if string(value) == "null" {
			return nil, fmt.Errorf("%s is missing", name)
		}
		dst = append(fmt.Appendf(dst, `,%q:`, name), value...)
	}
	return append(dst, "}\n"...), nil
}

// decodeEvent reads the line of an event, without its newline.
func decodeEvent(line []byte) (Event, error) {
	values, err := decodeMembers(line)
	if err != nil {
		return Event{}, err
	}
	var e Event
	if err := decodeMember(values, "event", &e.Kind, codec); err != nil {
		return Event{}, err
	}
	_, ofStep := values["index"]
	names, err := membersOf(e.Kind, ofStep)
	if err != nil {
		return Event{}, err
	}
	switch e.Kind {
	case KindStart:
		e.Start = &Start{}
	case KindAgain:
		e.Again = &Again{}
	case KindTLS:
		e.TLS = &TLS{}
	case KindResumed:
		e.Resumed = &Resumed{}
	case KindEnd:
		e.End = &End{}
	}
	return e, decodeFields(values, &e, names, codec)
}

// fieldOf returns the field with a JSON name, of the struct that v points to or of one below it.
func fieldOf(v reflect.Value, name string) reflect.Value {
	for field, value := range v.Elem().Fields() {
		tag := field.Tag.Get("json")
		switch {
		case tag == name:
			return value
		case tag == ",inline" && !value.IsNil():
			if found := fieldOf(value, name); found.IsValid() {
				return found
			}
		}
	}
	return reflect.Value{}
}

// decodeMembers splits a JSON object into its members. It refuses duplicate names and invalid
// UTF-8.
func decodeMembers(raw []byte) (map[string]jsontext.Value, error) {
	var values map[string]jsontext.Value
	if err := json.Unmarshal(raw, &values); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", jsonl.PlainError(err))
	}
	if values == nil {
		return nil, errors.New("not a JSON object: null")
	}
	return values, nil
}

// decodeFields sets the named fields of the struct that v points to. It refuses other members.
func decodeFields(values map[string]jsontext.Value, v any, names []string, o json.Options) error {
	for _, name := range names {
		name, optional := strings.CutSuffix(name, "?")
		if _, ok := values[name]; !ok && optional {
			continue
		}
		if err := decodeMember(values, name, fieldOf(reflect.ValueOf(v), name).Addr().Interface(), o); err != nil {
			return err
		}
	}
	if len(values) > 0 {
		return fmt.Errorf("%q is not known here", slices.Min(slices.Collect(maps.Keys(values))))
	}
	return nil
}

// decodeMember decodes the named value, and removes it from values.
func decodeMember(values map[string]jsontext.Value, name string, into any, o json.Options) error {
	raw, ok := values[name]
	switch {
	case !ok:
		return fmt.Errorf("%s is missing", name)
	case raw.Kind() == jsontext.KindNull:
		return fmt.Errorf("%s must not be null", name)
	}
	delete(values, name)
	if err := json.Unmarshal(raw, into, o); err != nil {
		return fmt.Errorf("%s: %w", name, jsonl.PlainError(err))
	}
	return nil
}

// codec writes durations as seconds, and replies as on the wire. It requires all members
// of a procedure, of a step and of a certificate.
var codec = json.JoinOptions(json.Deterministic(true),
	json.WithMarshalers(json.JoinMarshalers(jsonl.MarshalDuration,
		json.MarshalFunc(func(r *protocol.Reply) ([]byte, error) {
			return bytes.TrimSpace(protocol.AppendReply(nil, *r)), nil
		}))),
	json.WithUnmarshalers(json.JoinUnmarshalers(jsonl.UnmarshalDuration,
		json.UnmarshalFunc(func(raw []byte, r *protocol.Reply) (err error) {
			*r, err = protocol.DecodeReply(raw)
			return err
		}),
		json.UnmarshalFromFunc(func(d *jsontext.Decoder, p *Procedure) error {
			return decodeObject(d, p, "name", "sha256", "steps")
		}),
		json.UnmarshalFromFunc(func(d *jsontext.Decoder, s *Step) error {
			return decodeObject(d, s, "step_id", "timeout", "interval")
		}),
		json.UnmarshalFromFunc(func(d *jsontext.Decoder, c *Certificate) error {
			return decodeObject(d, c, "subject", "issuer", "serial", "not_after")
		}))),
)

// decodeObject reads a JSON object that has exactly the named members.
func decodeObject(d *jsontext.Decoder, v any, names ...string) error {
	raw, err := d.ReadValue()
	if err != nil {
		return err
	}
	values, err := decodeMembers(raw)
	if err != nil {
		return err
	}
	return decodeFields(values, v, names, d.Options())
}
