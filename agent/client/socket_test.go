package client_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/protocol"
)

// listen serves one script after the other on a loopback port.
func listen(t *testing.T, scripts ...func(*peer)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for _, script := range scripts {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			script(&peer{conn: conn, messages: protocol.NewReader(conn, 0)})
			_ = conn.Close() // nothing is left to send
		}
	}()
	t.Cleanup(func() {
		_ = l.Close() // it may be closed already
		<-over
	})
	return l.Addr().String()
}

// reset closes a connection with RST.
func reset(p *peer) {
	if err := p.conn.(*net.TCPConn).SetLinger(0); err != nil {
		panic(err)
	}
	_ = p.conn.Close() // it closes even with an error
}

// generous is a timeout that no test waits for.
const generous = time.Minute

func TestResetConnection(t *testing.T) {
	address := listen(t,
		func(p *peer) { _, _ = p.next(); reset(p) },
		func(p *peer) { _, _ = p.next(); p.send(`{"step_id":1,"er`); reset(p) },
		func(p *peer) { _, _ = p.next(); p.send(`{"step_id":1,"er`) },
		func(p *peer) { _, _ = p.next(); p.send(echoed); p.drain() })
	c, err := client.Dial(t.Context(), address, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, cause := range []error{syscall.ECONNRESET, syscall.ECONNRESET, io.ErrUnexpectedEOF} {
		_, err := c.Do(t.Context(), step(1, generous))
		if !errors.Is(err, client.ErrConnectionLost) || !errors.Is(err, cause) {
			t.Errorf("request %d: %v, want a connection lost by %v", i+1, err, cause)
		}
	}
	if _, err := c.Do(t.Context(), step(1, generous)); err != nil {
		t.Errorf("after the losses: %v", err)
	}
	_ = c.Close()
}

func TestRefusedConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close() // now no agent listens there
	_, err = client.Dial(t.Context(), l.Addr().String(), client.Options{})
	if !errors.Is(err, client.ErrUnreachable) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error %v", err)
	}
}

// A refusal that an agent sends before it closes the connection is heard, although the
// request runs into the closed connection.
func TestRefusalBeforeTheConnectionCloses(t *testing.T) {
	refuse := func(p *peer) { p.send(`{"step_id":null,"error_code":1,"reason":"busy"}`) }
	address := listen(t, refuse, refuse, refuse)
	c, err := client.Dial(t.Context(), address, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		reply, err := c.Do(t.Context(), step(1, generous))
		if err == nil && reply.Reason == protocol.Busy {
			continue
		}
		// The RST that answers the request may overtake the refusal in the kernel.
		if !errors.Is(err, client.ErrConnectionLost) {
			t.Errorf("reply %+v, error %v", reply, err)
		}
	}
	_ = c.Close()
}
