package server_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
	"github.com/stepagent/stepagent/agent/protocol"
)

// refusal returns the error that a client with TLS gets at its first step, because it was refused.
func (h *harness) refusal(t *testing.T, config *tls.Config) error {
	t.Helper()
	conn, err := tls.Dial("tcp", h.addr, config)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, `{"step_id":1}`) // may fail already
	line, err := io.ReadAll(conn)
	if err == nil {
		err = fmt.Errorf("got %q and no error", line)
	}
	return err
}

// TestClientCertificates: who is let in, what a client that is not reads, and what the log says.
func TestClientCertificates(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	for name, c := range map[string]struct {
		client  *tls.Config
		alert   string // empty: let in
		outcome server.HandshakeOutcome
		logged  string
	}{
		"valid":         {client: a.clientAs(certtest.Template{URIs: []string{"spiffe://bench.example/station/7"}})},
		"none":          {a.client(), "certificate required", server.HandshakeFailed, "certificate"},
		"expired":       {a.clientAs(certtest.Template{CN: "old"}.Expired()), "expired certificate", server.HandshakeFailed, "CN=old"},
		"of another CA": {withRoots(stranger.clientAs(certtest.Template{CN: "foreign"}), a), "unknown certificate authority", server.HandshakeFailed, "CN=foreign"},
		"not allowed": {a.clientAs(certtest.Template{URIs: []string{"spiffe://bench.example/guest"}}), "bad certificate", server.HandshakeRefused,
			"spiffe://bench.example/guest"},
	} {
		t.Run(name, func(t *testing.T) {
			o := a.options(true)
			o.Clients = []server.ClientRule{{Match: "spiffe://bench.example/station/*"}, {Match: "other"}}
			var log lockedBuffer
			h := a.startTLS(t, server.TLS, o, &log)
			if c.alert == "" {
				h.as(t, c.client).step()
				return
			}
			if err := h.refusal(t, c.client); !strings.Contains(err.Error(), c.alert) {
				t.Errorf("the client reads %v, want %q", err, c.alert)
			}
			waitFor(t, "the connection to end", func() bool { return h.Stats().Open == 0 })
			if n := h.Stats(); n.TLSRefused != 1 || n.Handshakes[c.outcome] != 1 || n.TLS != 0 {
				t.Errorf("%+v", n)
			}
			if text := log.String(); !strings.Contains(text, "TLS handshake failed") || !strings.Contains(text, c.logged) || !strings.Contains(text, "client=127.0.0.1:") {
				t.Errorf("the log does not name %s:\n%s", c.logged, text)
			}
		})
	}
}

// withRoots returns a client's config that trusts the agent of another authority.
func withRoots(config *tls.Config, a *authority) *tls.Config {
	config.RootCAs = a.client().RootCAs
	return config
}

// TestNoCertificate: without certificates no handshake succeeds, and the log says why.
func TestNoCertificate(t *testing.T) {
	a := newAuthority(t)
	var log lockedBuffer
	h := a.startTLS(t, server.Either, defaults(), &log)
	if err := h.refusal(t, a.client()); !strings.Contains(err.Error(), "internal error") {
		t.Error(err)
	}
	waitFor(t, "a line to say so", func() bool { return strings.Contains(log.String(), "the agent has no certificate") })
	h.plain(t).step()
}

// TestTLSLimit: past the limit a client gets an alert instead of a handshake, and one without TLS is
// served.
func TestTLSLimit(t *testing.T) {
	a := newAuthority(t)
	o := a.options(false)
	o.TLSConnections = 1
	h := a.startTLS(t, server.Either, o, io.Discard)
	first := h.dial(t)
	first.step()
	if err := h.refusal(t, a.client()); !strings.Contains(err.Error(), "remote error: tls: internal error") {
		t.Errorf("the client reads %v", err)
	}
	h.plain(t).step()
	waitFor(t, "the refused one to end", func() bool { return h.Stats().Open == 2 })
	if n := h.Stats(); n.Refused != 1 || n.TLS != 1 || n.TLSRefused != 0 {
		t.Errorf("%+v", n)
	}
	_ = first.Close()
	waitFor(t, "a place", func() bool { return h.Stats().TLS == 0 })
	h.dial(t).step()
}

// TestTooManyConnectionsOverTLS: a client past limits.connections is told so in its own way.
func TestTooManyConnectionsOverTLS(t *testing.T) {
	a := newAuthority(t)
	o := a.options(false)
	o.Connections = 1
	for name, mode := range map[string]server.Mode{"on": server.TLS, "either": server.Either} {
		t.Run(name, func(t *testing.T) {
			h := a.startTLS(t, mode, o, io.Discard)
			h.dial(t).step()
			if err := h.refusal(t, a.client()); !strings.Contains(err.Error(), "remote error: tls: internal error") {
				t.Errorf("a client with TLS reads %v", err)
			}
			plain := h.plain(t)
			plain.send(`{"step_id":1}`)
			plain.expect(`"busy"`, "1 connections")
			plain.expectClosed()
		})
	}
}

// hello returns the first message of a client's handshake.
func hello(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer func() { _ = ours.Close(); _ = theirs.Close() }()
	_ = theirs.SetDeadline(time.Now().Add(patience))
	go func() { _ = tls.Client(ours, config).Handshake() }() // ends with the pipe
	message := make([]byte, 64<<10)
	n, err := theirs.Read(message)
	if err != nil {
		t.Fatal(err)
	}
	return message[:n]
}

// TestHandshakeTime: a handshake that does not come to its end is given up, in whichever state it is.
func TestHandshakeTime(t *testing.T) {
	a := newAuthority(t)
	o := a.options(false)
	o.MessageTime = 100 * time.Millisecond
	var log lockedBuffer
	h := a.startTLS(t, server.TLS, o, &log)
	whole := hello(t, a.client())
	for name, sent := range map[string][]byte{"silent": nil, "one byte": whole[:1], "half": whole[:len(whole)/2], "no answer": whole} {
		before, began := h.Stats().Handshakes[server.HandshakeTimedOut], time.Now()
		p := h.plain(t)
		p.send(string(sent))
		_, _ = io.Copy(io.Discard, p.lines)
		waitFor(t, "the end: "+name, func() bool { return h.Stats().Open == 0 })
		if took := time.Since(began); took < o.MessageTime {
			t.Errorf("%s: closed after %v", name, took)
		}
		if n := h.Stats(); n.Handshakes[server.HandshakeTimedOut] != before+1 || n.TLS != 0 {
			t.Errorf("%s: %+v", name, n)
		}
	}
	if text := log.String(); !strings.Contains(text, "TLS handshake failed") || !strings.Contains(text, "not complete within 100ms") {
		t.Errorf("no line says so:\n%s", text)
	}
}

// TestBrokenHandshake: bytes that are none of a handshake end it at once.
func TestBrokenHandshake(t *testing.T) {
	a := newAuthority(t)
	h := a.startTLS(t, server.Either, a.options(false), io.Discard)
	for _, sent := range []string{"\x16 and so on, which is no record", "\x16\x03\x01\x00\x05hello", "\x16\x03\x01\xff\xff"} {
		p := h.plain(t)
		p.send(sent)
		p.closeWrite()
		_, _ = io.Copy(io.Discard, p.lines)
	}
	waitFor(t, "the ends", func() bool { n := h.Stats(); return n.Open == 0 && n.Handshakes[server.HandshakeFailed] == 3 })
}

// TestLongHandshake: a client that has not shown who it is cannot fill the agent's memory.
func TestLongHandshake(t *testing.T) {
	a := newAuthority(t)
	var log lockedBuffer
	h := a.startTLS(t, server.TLS, a.options(true), &log)
	p := h.plain(t)
	record := append([]byte{22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff}, make([]byte, 1<<14-4)...) // of a ClientHello of 64 KiB
	go func() {
		_, _ = p.Write(record)
		_, _ = p.Write(append([]byte{22, 3, 1, 0x40, 0}, make([]byte, 1<<14)...))
	}()
	_, _ = io.Copy(io.Discard, p.lines)
	waitFor(t, "a line", func() bool { return strings.Contains(log.String(), "more than 32768 bytes") })
}

// TestHalfHandshakesByTheThousand: they are gone in time, leave no goroutine, and do not keep clients
// from their steps, with TLS or without.
func TestHalfHandshakesByTheThousand(t *testing.T) {
	a := newAuthority(t)
	o := a.options(false)
	o.MessageTime = 3 * time.Second
	var log lockedBuffer
	h := a.startTLS(t, server.Either, o, &log)
	plain := h.plain(t)
	plain.step()
	before, whole := runtime.NumGoroutine(), hello(t, a.client())
	const half = 1000
	var clients sync.WaitGroup
	for i := range half {
		conn, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		sent := whole
		if i%2 == 0 {
			sent = whole[:1+i%(len(whole)-1)]
		}
		clients.Go(func() {
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(patience))
			_, _ = conn.Write(sent)
			_, _ = io.Copy(io.Discard, conn)
		})
	}
	began := time.Now()
	for step := 2; step <= 10; step++ {
		plain.send(fmt.Sprintf(`{"step_id":%d}`, step))
		plain.expect(fmt.Sprintf(`{"step_id":%d,"error_code":0`, step))
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the steps of a client without TLS took %v", took)
	}
	h.dial(t).step()
	clients.Wait()
	waitFor(t, "all to be closed", func() bool { n := h.Stats(); return n.Open == 2 && n.TLS == 1 })
	if n := h.Stats(); n.TLSRefused != half {
		t.Errorf("%+v", n)
	}
	waitFor(t, "no goroutine to be left", func() bool { return runtime.NumGoroutine() <= before+5 })
	if n := strings.Count(log.String(), "TLS handshake failed"); n == 0 || n > 20 {
		t.Errorf("%d half handshakes made %d lines", half, n)
	}
}

// TestBusyReasons: what is refused before or after a handshake is counted as connections, not as
// messages.
func TestBusyReasons(t *testing.T) {
	a := newAuthority(t)
	o := a.options(false)
	o.TLSConnections = 0
	h := a.startTLS(t, server.TLS, o, io.Discard)
	_ = h.refusal(t, a.client())
	if n := h.Stats(); n.Refused != 1 || n.RefusedMessages != 0 || n.RefusedByReason[protocol.Busy] != 0 {
		t.Errorf("%+v", n)
	}
}

// TestPanicInHandshake: a defect ends one connection, and the slot of its handshake is free again.
func TestPanicInHandshake(t *testing.T) {
	a := newAuthority(t)
	o := a.options(true)
	var log lockedBuffer
	h := a.startTLS(t, server.TLS, o, &log)
	h.PanicInHandshakes()
	valid := a.clientAs(certtest.Template{CN: "station-1"})
	_, slots := h.FreeHandshakeSlots()
	for range slots {
		_ = h.refusal(t, valid)
	}
	waitFor(t, "the slots to be free", func() bool { free, all := h.FreeHandshakeSlots(); return free == all })
	if n := strings.Count(log.String(), "panic while serving a connection"); n != slots {
		t.Errorf("%d panics are logged, want %d:\n%s", n, slots, log.String())
	}
	h.SetOptions(o)
	h.as(t, valid).step()
}
