package server_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
	"github.com/stepagent/stepagent/agent/internal/testkit/testvectors"
)

// TestVectors plays every vector file against a server, each in a new connection.
func TestVectors(t *testing.T) {
	for _, v := range load(t) {
		t.Run(v.Name, func(t *testing.T) {
			h := start(t, defaults())
			play(t, h, v, []string{string(v.Bytes)})
		})
	}
}

// TestVectorsSplit sends the short vectors byte by byte, and in two segments that are cut at places
// all over the vector; at every byte in the full soak test.
func TestVectorsSplit(t *testing.T) {
	const long = 400
	for _, v := range load(t) {
		if len(v.Bytes) > long {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			var bytewise []string
			for i := range v.Bytes {
				bytewise = append(bytewise, string(v.Bytes[i:i+1]))
			}
			h := start(t, defaults())
			play(t, h, v, bytewise)
			for i := 1; i < len(v.Bytes); i += 1 + len(v.Bytes)/soaktest.Repetitions(t, len(v.Bytes), 8) {
				if strings.Contains(string(v.Bytes), `"session"`) {
					h = start(t, defaults()) // a session that is named twice goes on
				}
				play(t, h, v, []string{string(v.Bytes[:i]), string(v.Bytes[i:])})
			}
		})
	}
}

func load(t *testing.T) []testvectors.Vector {
	t.Helper()
	vectors, err := testvectors.Load("../../../../testdata/frames")
	if err != nil {
		t.Fatal(err)
	}
	return vectors
}

// play sends the vector's bytes in the given pieces and checks the replies and what becomes
// of the connection.
func play(t *testing.T, h *harness, v testvectors.Vector, pieces []string) {
	t.Helper()
	p := h.dial(t)
	defer func() { _ = p.Close() }()
	sent := make(chan error, 1)
	go func() {
		for _, piece := range pieces {
			if _, err := io.WriteString(p, piece); err != nil {
				sent <- err
				return
			}
			time.Sleep(50 * time.Microsecond) // so that pieces mostly are segments of their own
		}
		sent <- nil
	}()
	for _, e := range v.Exchanges {
		if err := e.Check([]byte(p.receive())); err != nil {
			t.Fatalf("%v, sent as %q: %v", v, pieces, err)
		}
	}
	if err := <-sent; err != nil && v.Connection != testvectors.Closed {
		t.Fatalf("%v: %v", v, err)
	}
	switch v.Connection {
	case testvectors.Closed:
		p.expectClosed()
	case testvectors.Cut:
		p.closeWrite()
		p.expectClosed()
	case testvectors.Open:
		p.expectSilence()
		p.send(`{"step_id":true}`)
		p.expect(`"bad_request"`)
	}
}

// expectSilence checks that nothing else has been sent.
func (p *peer) expectSilence() {
	p.t.Helper()
	_ = p.SetReadDeadline(time.Now().Add(time.Millisecond))
	if b, err := p.lines.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Fatalf("want silence, got %q, %v", b, err)
	}
	_ = p.SetReadDeadline(time.Now().Add(patience))
}

// TestThousandInOneSegment sends a thousand messages in one write, a hundred rounds of a
// procedure, and wants each answered in order.
func TestThousandInOneSegment(t *testing.T) {
	p := start(t, defaults()).dial(t)
	var all strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&all, `{"step_id":%d,"req":%d}`, i%10+1, i)
	}
	p.send(all.String())
	for i := range 1000 {
		want := fmt.Sprintf(`{"step_id":%d,"error_code":0,"req":%d`, i%10+1, i)
		if got := p.receive(); !strings.HasPrefix(got, want) {
			t.Fatalf("reply %d is %s, want %s", i, got, want)
		}
	}
}

// TestCutMessageIsNotJudged cuts a message at every byte and then performs the procedure:
// none of the pieces may have taken a position.
func TestCutMessageIsNotJudged(t *testing.T) {
	h := start(t, defaults())
	const message = `{"step_id":1,"session":"cut"}`
	for i := range message {
		p := h.dial(t)
		p.send(message[:i])
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	p := h.dial(t)
	p.send(message)
	p.expect(`"error_code":0`)
	if stats := h.sessions.Stats(); stats.Passed != 1 || stats.Failed != 0 {
		t.Errorf("judged %+v, want one step that passed", stats)
	}
}

// TestMessageThenEnd: a whole message is judged although the stream ends behind it.
func TestMessageThenEnd(t *testing.T) {
	p := start(t, defaults()).dial(t)
	p.send(`{"step_id":1}`)
	p.closeWrite()
	p.expect(`{"step_id":1,"error_code":0}`)
	p.expectClosed()
}
