package protocol_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stepagent/stepagent/agent/internal/testkit/testvectors"
	"github.com/stepagent/stepagent/agent/protocol"
)

const vectorDir = "../../testdata/frames"

func loadVectors(t testing.TB) []testvectors.Vector {
	t.Helper()
	vectors, err := testvectors.Load(vectorDir)
	if err != nil {
		t.Fatal(err)
	}
	return vectors
}

// A reading is what a Reader made of a stream.
type reading struct {
	messages []string
	// end is io.EOF, io.ErrUnexpectedEOF or an *Error.
	end error
}

func readAll(r *protocol.Reader) reading {
	var all reading
	for {
		message, err := r.Next()
		if err != nil {
			all.end = err
			return all
		}
		all.messages = append(all.messages, string(message))
	}
}

// sameEnd compares ends; of two *Error, the details may differ.
func sameEnd(a, b error) bool {
	first, isError := errors.AsType[*protocol.Error](a)
	second, areErrors := errors.AsType[*protocol.Error](b)
	if isError && areErrors {
		return first.Reason == second.Reason
	}
	return a == b
}

func (a reading) check(t *testing.T, how string, want reading) {
	t.Helper()
	if len(a.messages) != len(want.messages) {
		t.Fatalf("%s: %d messages, want %d", how, len(a.messages), len(want.messages))
	}
	for i, message := range a.messages {
		if message != want.messages[i] {
			t.Fatalf("%s: message %d is %q, want %q", how, i, message, want.messages[i])
		}
	}
	if !sameEnd(a.end, want.end) {
		t.Fatalf("%s: the end is %v, want %v", how, a.end, want.end)
	}
}

// TestVectors checks of each vector what the codec decides: which messages there are, which
// are accepted and as what, and what is refused and how.
func TestVectors(t *testing.T) {
	for _, v := range loadVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			stream := readAll(protocol.NewReader(bytes.NewReader(v.Bytes), 0))
			end := checkExchanges(t, v, stream)
			switch v.Connection {
			case testvectors.Open:
				if end != io.EOF {
					t.Errorf("%s: the stream ends with %v, want %v", v, end, io.EOF)
				}
			case testvectors.Cut:
				if end != io.ErrUnexpectedEOF {
					t.Errorf("%s: the stream ends with %v, want %v", v, end, io.ErrUnexpectedEOF)
				}
			case testvectors.Closed:
				if bad, ok := errors.AsType[*protocol.Error](end); !ok || bad.Reason != protocol.BadMessage {
					t.Errorf("%s: the stream ends with %v, want reason %s", v, end, protocol.BadMessage)
				}
			}
		})
	}
}

// checkExchanges goes through the messages of a stream as a server does, and returns the
// error after which that closes the connection.
func checkExchanges(t *testing.T, v testvectors.Vector, stream reading) error {
	t.Helper()
	wanted := v.Exchanges
	next := func() testvectors.Exchange {
		t.Helper()
		if len(wanted) == 0 {
			t.Fatalf("%s: more messages than exchanges: %q, end %v", v, stream.messages, stream.end)
		}
		defer func() { wanted = wanted[1:] }()
		return wanted[0]
	}
	end := stream.end
	for _, message := range stream.messages {
		exchange := next()
		request, err := protocol.DecodeRequest([]byte(message))
		bad, refused := errors.AsType[*protocol.Error](err)
		if refused {
			checkRefusal(t, exchange, bad)
		} else {
			checkRequest(t, exchange, request)
		}
		if refused && bad.Reason == protocol.BadMessage {
			end = bad
			break
		}
	}
	if bad, ok := errors.AsType[*protocol.Error](stream.end); ok && end == stream.end {
		checkRefusal(t, next(), bad)
	}
	if len(wanted) > 0 {
		t.Errorf("%s: no message for the reply at line %d", v, wanted[0].Line)
	}
	return end
}

func checkRefusal(t *testing.T, exchange testvectors.Exchange, bad *protocol.Error) {
	t.Helper()
	if exchange.Request != "" {
		t.Errorf("refused: %v; line %d wants %s", bad, exchange.Line, exchange.Request)
	}
	if err := exchange.Check(protocol.AppendReply(nil, bad.Reply(1))); err != nil {
		t.Error(err)
	}
	if len(bad.Detail) == 0 || len(bad.Detail) > 200 {
		t.Errorf("the detail has %d bytes: %s", len(bad.Detail), bad.Detail)
	}
}

func checkRequest(t *testing.T, exchange testvectors.Exchange, request protocol.Request) {
	t.Helper()
	if got := protocol.AppendRequest(nil, request); string(got) != exchange.Request+"\n" {
		t.Errorf("the request is %s, line %d wants %q", got, exchange.Line, exchange.Request)
	}
	// Of the reply, the codec knows the part that comes from the request.
	want, err := protocol.DecodeReply(exchange.Reply)
	if err != nil {
		t.Fatal(err)
	}
	if want.StepID == nil || *want.StepID != request.StepID || want.Req != request.Req || want.Session != request.Session {
		t.Errorf("line %d: the reply does not belong to the request %s", exchange.Line, exchange.Request)
	}
}

// TestVectorsSplit checks that it does not matter how a stream comes in pieces.
func TestVectorsSplit(t *testing.T) {
	for _, v := range loadVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			whole := readAll(protocol.NewReader(bytes.NewReader(v.Bytes), 0))
			for name, source := range map[string]io.Reader{
				"byte by byte":           iotest.OneByteReader(bytes.NewReader(v.Bytes)),
				"in halves":              iotest.HalfReader(bytes.NewReader(v.Bytes)),
				"the end with the bytes": iotest.DataErrReader(bytes.NewReader(v.Bytes)),
			} {
				readAll(protocol.NewReader(source, 0)).check(t, name, whole)
			}
			// Every split of what is not very long, and many of the rest.
			for at := 0; at <= len(v.Bytes); at += 1 + len(v.Bytes)/3000 {
				pieces := io.MultiReader(bytes.NewReader(v.Bytes[:at]), bytes.NewReader(v.Bytes[at:]))
				readAll(protocol.NewReader(pieces, 0)).check(t, "in two", whole)
			}
		})
	}
}
