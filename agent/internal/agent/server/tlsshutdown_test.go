package server_test

import (
	"context"
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/server"
)

// TestShutdownWithTLS: the step that is being judged gets its reply, one that was sent ahead is told,
// idle connections end with an alert, and a handshake under way does not hold up the stop.
func TestShutdownWithTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	member, there, let := gate()
	h := a.startTLS(t, server.TLS, a.options(false), io.Discard, member)
	idle, busy, half, silent := h.dial(t), h.dial(t), h.plain(t), h.plain(t)
	idle.step()
	whole := hello(t, a.client())
	half.send(string(whole[:len(whole)/2]))
	busy.send(`{"step_id":1}{"step_id":2}{"step_id":3,"req":"ahead"}`)
	busy.expect(`{"step_id":1,"error_code":0}`)
	<-there
	waitFor(t, "all clients", func() bool { n := h.Stats(); return n.Open == 4 && n.TLS == 3 })

	down, began := make(chan error, 1), time.Now()
	go func() { down <- h.Shutdown(context.Background()) }()
	idle.expectClosed()
	silent.expectClosed()
	// What of the half had not been read yet makes the close a reset.
	if _, err := half.lines.ReadByte(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("want the connection closed, got %v", err)
	}
	h.dialRefused(t)
	let()
	busy.expect(`{"step_id":2,"error_code":0}`)
	busy.expect(`{"step_id":3,"error_code":1,"req":"ahead","reason":"shutting_down"`)
	busy.expectClosed()
	if err := <-down; err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > patience/4 {
		t.Errorf("the shutdown took %v", took)
	}
	if n := h.Stats(); n.TLSRefused != 0 {
		t.Errorf("the handshake that the stop ended is counted: %+v", n)
	}
}

// TestShutdownWithTLSByForce: past the grace time the rest is closed, also a client that does not read.
func TestShutdownWithTLSByForce(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	member, there, _ := gate()
	h := a.startTLS(t, server.TLS, a.options(false), io.Discard, member)
	h.endByForce(t, there)
}
