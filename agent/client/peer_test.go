package client_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A peer is the agent's end of one connection, in the hands of a script.
type peer struct {
	conn     net.Conn
	messages *protocol.Reader
	// req is that of the last request, as it was sent.
	req string
	// raw is the last request.
	raw string
}

// next reads a request; false when the client has hung up.
func (p *peer) next() (protocol.Request, bool) {
	message, err := p.messages.Next()
	if err != nil {
		return protocol.Request{}, false
	}
	p.raw = string(message)
	r, err := protocol.DecodeRequest(message)
	if err != nil {
		panic(err)
	}
	p.req = r.Req.String()
	return r, true
}

// send writes a message. $REQ stands for the last request's req. The client may have hung
// up, which is for the client's side of the test to see.
func (p *peer) send(message string) {
	_, _ = p.conn.Write([]byte(strings.ReplaceAll(message, "$REQ", p.req)))
}

// drain reads until the client hangs up.
func (p *peer) drain() {
	for {
		if _, ok := p.next(); !ok {
			return
		}
	}
}

var errRefused = errors.New("connection refused")

// dialer connects to one script after the other, and to none after the last.
func dialer(scripts ...func(*peer)) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		if len(scripts) == 0 {
			return nil, errRefused
		}
		script := scripts[0]
		scripts = scripts[1:]
		near, far := net.Pipe()
		go func() {
			defer func() { _ = far.Close() }() // nothing is left to send
			script(&peer{conn: far, messages: protocol.NewReader(far, 0)})
		}()
		return near, nil
	}
}

// dial makes a client of the scripts and closes it when the test is over. Strays go to the
// slice that is returned, which may be read when the client is idle. Nothing is sent again unless the
// options say so.
func dial(t *testing.T, opts client.Options, scripts ...func(*peer)) (*client.Client, *[]client.Stray) {
	t.Helper()
	strays := &[]client.Stray{}
	opts.Dial = dialer(scripts...)
	if opts.RetryFor == 0 {
		opts.RetryFor = -1
	}
	opts.OnStray = func(s client.Stray) { *strays = append(*strays, s) }
	c, err := client.Dial(t.Context(), "agent:8080", opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, strays
}

func step(id int64, timeout time.Duration) protocol.Request {
	return protocol.Request{StepID: id, Timeout: protocol.Seconds(timeout)}
}

// Two replies to step 1, from an agent that sends the req back and from one that does not.
const (
	echoed = `{"step_id":1,"error_code":0,"req":$REQ}`
	bare   = `{"step_id":1,"error_code":0}`
)
