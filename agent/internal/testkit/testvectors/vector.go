// Package testvectors reads the vector files of the protocol: bytes that a client sends, and the
// replies that an agent must give. The tests of the codec and of the server use the same files.
// testdata/frames/README.md describes the format.
package testvectors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// A Vector is one case: what one new connection to an agent with the default config sends.
type Vector struct {
	// Name is unique among all vectors.
	Name string
	// File and Line say where the vector begins.
	File string
	Line int
	// Bytes is what the client sends.
	Bytes []byte
	// Exchanges are the messages in Bytes, in order.
	Exchanges []Exchange
	// Connection is the state of the connection after the last reply.
	Connection Connection
}

// An Exchange is one message and its reply.
type Exchange struct {
	// Line is the line of the reply in the file.
	Line int
	// Request is the message as protocol.AppendRequest writes it, without the newline; empty
	// when the message is refused.
	Request string
	// Reply is the reply as JSON; see Check.
	Reply []byte
}

// Connection is the state of a connection once all bytes of a vector have been answered.
type Connection string

// The states of a connection.
const (
	// Open: the agent reads on, and would answer a further message.
	Open Connection = "open"
	// Closed: the agent has closed the connection.
	Closed Connection = "closed"
	// Cut: the bytes end within a message. The agent waits for the rest; if the client closes
	// instead, the agent closes without a further reply or judgement.
	Cut Connection = "cut"
)

// String returns the file, line and name of the vector.
func (v Vector) String() string { return fmt.Sprintf("%s:%d: %s", v.File, v.Line, v.Name) }

// optional are the fields that a reply has only if the vector has them. The detail, which is for
// people, is not compared.
func optional() []string { return []string{"req", "session", "reason", "end", "agent"} }

// Check compares a reply, one JSON object, with the wanted one. It must have every wanted field with
// the same value, and no other optional field.
func (e Exchange) Check(reply []byte) error {
	want, err := decodeObject(e.Reply)
	if err != nil {
		return fmt.Errorf("the reply wanted at line %d: %w", e.Line, err)
	}
	got, err := decodeObject(reply)
	if err != nil {
		return fmt.Errorf("the reply %q: %w", reply, err)
	}
	for name, value := range want {
		if has, ok := got[name]; !ok || !reflect.DeepEqual(has, value) {
			return fmt.Errorf("reply %s: %s is not as wanted at line %d: %s", bytes.TrimSpace(reply), name, e.Line, e.Reply)
		}
	}
	for _, name := range optional() {
		_, wanted := want[name]
		if _, ok := got[name]; ok && !wanted {
			return fmt.Errorf("reply %s: there should be no %s, line %d wants %s", bytes.TrimSpace(reply), name, e.Line, e.Reply)
		}
	}
	return nil
}

func decodeObject(b []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.UseNumber() // an id of 64 bits does not fit a float64
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return nil, err
	}
	return object, nil
}
