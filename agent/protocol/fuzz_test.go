package protocol_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/protocol"
)

// pieces is a source that returns at each read as many bytes as the next of sizes says, and
// begins with them again at their end.
type pieces struct {
	left  []byte
	sizes []byte
	reads int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	size := len(b)
	if len(p.sizes) > 0 {
		size = max(1, min(size, int(p.sizes[p.reads%len(p.sizes)])))
	}
	p.reads++
	n := copy(b[:size], p.left)
	p.left = p.left[n:]
	return n, nil
}

// FuzzReader compares the Reader with a slow one, whatever the stream, the pieces in which
// it comes and the limit, and watches the size of the buffer.
func FuzzReader(f *testing.F) {
	for _, v := range loadVectors(f) {
		if len(v.Bytes) < 500 {
			f.Add(v.Bytes, []byte{1, 200, 3}, uint16(64))
			f.Add(v.Bytes, []byte{}, uint16(4096))
		}
	}
	f.Fuzz(func(t *testing.T, stream, sizes []byte, limit uint16) {
		stream = stream[:min(len(stream), 2000)] // the slow one is quadratic
		maxBytes := int(limit%4096) + 1
		want := slowSplit(stream, maxBytes)
		reader := protocol.NewReader(&pieces{left: stream, sizes: sizes}, maxBytes)
		var got reading
		for got.end == nil {
			message, err := reader.Next()
			if err == nil {
				got.messages = append(got.messages, string(message))
			}
			got.end = err
			if reader.Cap() > maxBytes {
				t.Fatalf("the buffer has %d bytes, the limit is %d", reader.Cap(), maxBytes)
			}
		}
		got.check(t, "in pieces", want)
	})
}

// FuzzDecodeRequest compares the decoder with a second one.
func FuzzDecodeRequest(f *testing.F) {
	addMessages(f)
	f.Fuzz(func(t *testing.T, message []byte) {
		want := secondDecode(message)
		got, err := protocol.DecodeRequest(message)
		if want.reason == "" {
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if diff := cmp.Diff(want.request, got, compareReqs()); diff != "" {
				t.Fatal(diff)
			}
			again, err := protocol.DecodeRequest(protocol.AppendRequest(nil, got))
			if diff := cmp.Diff(got, again, compareReqs()); diff != "" || err != nil {
				t.Fatalf("not the same after a round trip: %v\n%s", err, diff)
			}
			return
		}
		bad, ok := errors.AsType[*protocol.Error](err)
		if !ok || bad.Reason != want.reason {
			t.Fatalf("%v, want reason %s (%s)", err, want.reason, want.about)
		}
		if !strings.Contains(bad.Detail, want.about) || len(bad.Detail) > 200 || protocol.Printable(bad.Detail, 1000) != bad.Detail {
			t.Errorf("detail %q, want one about %s that can be printed", bad.Detail, want.about)
		}
		wantReply := protocol.Reply{ErrorCode: 1, Reason: want.reason, Detail: bad.Detail,
			StepID: want.stepID, Req: want.request.Req, Session: want.request.Session}
		if diff := cmp.Diff(wantReply, bad.Reply(1), compareReqs()); diff != "" {
			t.Error(diff)
		}
	})
}

// FuzzDecodeReply checks that a reply that is accepted stays the same when it is written and
// read again.
func FuzzDecodeReply(f *testing.F) {
	addMessages(f)
	f.Fuzz(func(t *testing.T, message []byte) {
		reply, err := protocol.DecodeReply(message)
		if err != nil {
			if _, ok := errors.AsType[*protocol.Error](err); !ok || cmp.Diff(protocol.Reply{}, reply, compareReqs()) != "" {
				t.Fatalf("%v with %v, want an *Error with nothing", err, reply)
			}
			return
		}
		written := protocol.AppendReply(nil, reply)
		if bytes.IndexByte(written, '\n') != len(written)-1 {
			t.Errorf("%q is not one line", written)
		}
		again, err := protocol.DecodeReply(written)
		if diff := cmp.Diff(reply, again, compareReqs()); diff != "" || err != nil {
			t.Errorf("not the same after a round trip: %v\n%s", err, diff)
		}
	})
}

// addMessages adds the messages and the replies of the vectors.
func addMessages(f *testing.F) {
	for _, v := range loadVectors(f) {
		for _, message := range readAll(protocol.NewReader(bytes.NewReader(v.Bytes), 0)).messages {
			f.Add([]byte(message))
		}
		for _, exchange := range v.Exchanges {
			f.Add(exchange.Reply)
		}
	}
}
