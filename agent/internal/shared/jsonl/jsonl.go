// Package jsonl reads and writes files of JSON lines. The agent's own record (package auditlog) and
// the client's record of a run (package record) are such files.
package jsonl

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MarshalDuration and UnmarshalDuration encode a time.Duration as Seconds.
var (
	MarshalDuration   = json.MarshalFunc(func(d time.Duration) ([]byte, error) { return Seconds(d).MarshalJSON() })
	UnmarshalDuration = json.UnmarshalFunc(func(raw []byte, d *time.Duration) error { return (*Seconds)(d).UnmarshalJSON(raw) })
)

// Read calls each with every whole line of a file, without its newline, and with the line's number
// from 1. torn reports that the last line has no newline; each does not get it. Errors, also those
// of each, begin with name:line. A line longer than maxBytes is an error.
func Read(r io.Reader, name string, maxBytes int, each func(number int, line []byte) error) (torn bool, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	for number := 1; ; number++ {
		line, err := readLine(in, maxBytes)
		if errors.Is(err, io.EOF) {
			return len(line) > 0, nil
		}
		if err == nil {
			err = each(number, line)
		}
		if err != nil {
			return false, fmt.Errorf("%s:%d: %w", name, number, err)
		}
	}
}

// readLine returns the next line without its newline; with io.EOF, what follows the last newline.
func readLine(in *bufio.Reader, maxBytes int) ([]byte, error) {
	var line []byte
	for {
		piece, err := in.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case len(line) > maxBytes:
			return nil, fmt.Errorf("the line is longer than %d bytes", maxBytes)
		case err == nil:
			return bytes.TrimSuffix(line, []byte("\n")), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return line, err
		}
	}
}

// PlainError removes the names of the library and of Go types from an error of package json.
func PlainError(err error) error {
	var syntactic *jsontext.SyntacticError
	var semantic *json.SemanticError
	switch {
	case errors.As(err, &syntactic) && syntactic.Err != nil:
		return syntactic.Err
	case !errors.As(err, &semantic):
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	case semantic.Err != nil:
		return PlainError(semantic.Err)
	}
	member := cmp.Or(strings.ReplaceAll(strings.TrimPrefix(string(semantic.JSONPointer), "/"), "/", "."), "the line")
	return fmt.Errorf("%s must not be of the type %s", member, semantic.JSONKind)
}
