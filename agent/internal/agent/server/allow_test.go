package server_test

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
)

// TestNotAllowed: a client outside the list gets no reply, causes one log line, and can be allowed
// while the server runs.
func TestNotAllowed(t *testing.T) {
	o := defaults()
	o.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
	var log lockedBuffer
	h := startLogging(t, o, &log)
	const strangers = 50
	for range strangers {
		h.dial(t).expectClosed()
	}
	waitFor(t, "all to be counted", func() bool { return h.Stats().NotAllowed == strangers })
	if n := h.Stats(); n.Accepted != 0 || n.Refused != 0 || n.Open != 0 {
		t.Errorf("the strangers count elsewhere too: %+v", n)
	}
	if n := strings.Count(log.String(), "connection not allowed"); n == 0 || n > strangers/2 ||
		!strings.Contains(log.String(), "client=127.0.0.1:") {
		t.Errorf("%d strangers made %d lines:\n%s", strangers, n, log.String())
	}

	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	conn, err := dialer.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	friend := newPeer(t, conn)
	friend.send(`{"step_id":1}`)
	friend.expect(`"error_code":0`)

	h.SetOptions(defaults())
	let := h.dial(t)
	let.send(`{"step_id":1}`)
	let.expect(`"error_code":0`)

	o.Allow = nil
	h.SetOptions(o)
	h.dial(t).expectClosed()
	friend.send(`{"step_id":2}`) // is open, and stays so
	friend.expect(`"error_code":0`)
}

// TestAllowForms: an address counts however the kernel writes it.
func TestAllowForms(t *testing.T) {
	o := defaults()
	o.Allow = []netip.Prefix{netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("10.0.0.0/8")}
	pipes := newPipes()
	startOn(t, pipes, o, io.Discard, judge.New(chain(t)))
	for address, served := range map[string]bool{
		"[fe80::1%eth0]:1": true, "[::ffff:10.0.0.1]:1": true, "10.0.0.1:1": true,
		"[fec0::1]:1": false, "[::ffff:11.0.0.1]:1": false, "11.0.0.1:1": false, "[::1]:1": false,
	} {
		ours, theirs := net.Pipe()
		p := newPeer(t, ours) // before the other end may be closed
		pipes.accepted <- from{theirs, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))}
		if served {
			p.send(`{"step_id":1}`)
			p.expect(`"error_code":0`)
		} else {
			p.expectClosed()
		}
		_ = ours.Close()
	}
}

// from is a connection that comes from an address.
type from struct {
	net.Conn
	addr net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.addr }
