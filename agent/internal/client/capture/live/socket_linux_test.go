package live

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
)

// TestLoopback: over a real socket and the loopback interface, where each packet goes
// by twice, the capture has each once, in both address families.
func TestLoopback(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "::1"} {
		listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		if err != nil {
			continue // this machine has no such address
		}
		defer func() { _ = listener.Close() }()
		go echo(listener)
		path := filepath.Join(t.TempDir(), "run.pcapng")
		agent := netip.MustParseAddrPort(listener.Addr().String())
		l, err := Start(Options{Path: path, Agents: map[string][]netip.AddrPort{agent.String(): {agent}}})
		if errors.Is(err, ErrNotPermitted) {
			return // it takes root, or the right
		}
		if err != nil {
			t.Fatal(err)
		}
		mine := map[netip.AddrPort]bool{}
		for range 3 {
			mine[talk(t, l)] = true
		}
		if err := l.Close("verdict: pass"); err != nil {
			t.Error(err)
		}
		c, err := capture.ReadFile(t.Context(), path, capture.Options{Port: agent.Port()})
		if err != nil {
			t.Fatal(err)
		}
		if c.Dropped == nil {
			t.Fatalf("%s: it is not known how many packets were dropped", address)
		}
		if *c.Dropped != 0 {
			t.Errorf("%s: %d packets dropped", address, *c.Dropped)
		}
		for _, conn := range c.Conns {
			if !mine[conn.Up.From] {
				continue // another program, which looks for a server that had this port before
			}
			delete(mine, conn.Up.From)
			if conn.Up.FIN.IsZero() || conn.Down.FIN.IsZero() {
				t.Errorf("%s: no end in %+v", address, conn)
			}
			if n := len(conn.Up.Packets) + len(conn.Down.Packets); n > 12 {
				t.Errorf("%s: %d packets of one connection", address, n)
			}
		}
		if len(mine) > 0 {
			t.Errorf("%s: %d of three connections are not in the capture of %d", address, len(mine), len(c.Conns))
		}
	}
}

// echo answers on each connection until its client closes it.
func echo(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(conn, conn) // the client sees what went wrong
		_ = conn.Close()           // nothing is left to be sent
	}
}

// talk makes a connection, sends and receives something, and returns the client's address.
func talk(t *testing.T, l *Recorder) netip.AddrPort {
	t.Helper()
	conn, err := l.Dial(t.Context(), "tcp", l.agents[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("step")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	return netip.MustParseAddrPort(conn.LocalAddr().String())
}
