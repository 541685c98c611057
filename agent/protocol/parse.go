package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is the deepest nesting of objects and arrays in a message, the message included. A deeper
// one is refused before it is parsed, because the stacks of parsers grow with the depth.
const MaxDepth = 64

// parse splits message into m, which must be zero. It returns an error unless message is a JSON
// object; a duplicate name is left to the caller, as fieldDuplicate.
func (m *members) parse(message []byte) *Error {
	if tooDeep(message) {
		return badMessage(fmt.Sprintf("nested deeper than %d levels", MaxDepth))
	}
	t := tokenizers.Get().(*tokenizer)
	defer t.free()
	err := t.split(message, m, jsontext.AllowDuplicateNames(false))
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok && errors.Is(syntax, jsontext.ErrDuplicateName) {
		// Parse all of it again: an error of syntax takes precedence.
		at, duplicate := m.count, describeDuplicate(syntax.JSONPointer)
		*m = members{}
		err = t.split(message, m, jsontext.AllowDuplicateNames(true))
		copy(m.order[at+1:], m.order[at:m.count])
		m.order[at] = fieldDuplicate
		m.value[fieldDuplicate] = []byte(duplicate)
		m.count++
	}
	if err != nil {
		return badMessage(describeSyntax(err))
	}
	return nil
}

func badMessage(detail string) *Error { return &Error{Reason: BadMessage, Detail: detail} }

// tokenizers are pooled: a new one for each message would be most of the agent's garbage.
var tokenizers = sync.Pool{New: func() any { return new(tokenizer) }}

type tokenizer struct {
	decoder jsontext.Decoder
	buffer  bytes.Buffer
}

// free releases the message and returns the tokenizer to the pool.
func (t *tokenizer) free() {
	t.buffer = bytes.Buffer{}
	t.decoder.Reset(&t.buffer)
	tokenizers.Put(t)
}

// split fills m from message. It stops at the first error.
func (t *tokenizer) split(message []byte, m *members, names jsontext.Options) error {
	t.buffer = *bytes.NewBuffer(message)
	t.decoder.Reset(&t.buffer, names)
	if begin, err := t.decoder.ReadToken(); err != nil || begin.Kind() != jsontext.KindBeginObject {
		return errNoObject
	}
	for t.decoder.PeekKind() == jsontext.KindString {
		name, err := t.decoder.ReadValue()
		if err != nil {
			return err
		}
		f := fieldOf(unquote(name))
		value, err := t.decoder.ReadValue()
		if err != nil {
			return err
		}
		if f == fieldUnknown {
			continue
		}
		if m.value[f] != nil {
			m.repeated[f] = true
			continue
		}
		end := t.decoder.InputOffset()
		m.value[f] = message[end-int64(len(value)) : end : end]
		m.order[m.count] = f
		m.count++
	}
	if _, err := t.decoder.ReadToken(); err != nil { // the closing brace, or an error
		return err
	}
	if _, err := t.decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return errMore
	}
	return nil
}

var (
	errNoObject = errors.New("a message must be a JSON object")
	errMore     = errors.New("something follows the JSON object")
)

// describeSyntax describes why bytes are not a JSON object.
func describeSyntax(err error) string {
	syntax, isSyntax := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case !isSyntax:
		return err.Error()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the JSON object has no end"
	default:
		return printable(fmt.Sprintf("not valid JSON at byte %d: %v", syntax.ByteOffset, syntax.Err), maxDetailBytes)
	}
}

// describeDuplicate names the duplicate and its object.
func describeDuplicate(at jsontext.Pointer) string {
	name := quote([]byte(at.LastToken()))
	if parent := at.Parent(); parent != "" {
		return fmt.Sprintf("name %s appears twice in %s", name, quote([]byte(parent)))
	}
	return fmt.Sprintf("name %s appears twice", name)
}

// tooDeep reports whether message is nested deeper than MaxDepth.
func tooDeep(message []byte) bool {
	if bytes.Count(message, []byte{'{'})+bytes.Count(message, []byte{'['}) <= MaxDepth {
		return false
	}
	depth, inString, escaped := 0, false, false
	for _, c := range message {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped = c == '\\'
			inString = c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
