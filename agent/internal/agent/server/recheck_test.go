package server_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

// TestRecheckPeers: after a change of the certificates or the rules, connections that would not get in
// any more end after their step; the others stay.
func TestRecheckPeers(t *testing.T) {
	a, next := newAuthority(t), newAuthority(t)
	valid := a.clientAs(certtest.Template{CN: "station-1"})
	for name, c := range map[string]struct {
		change func(o *server.Options)
		stays  bool
		logged string
	}{
		"nothing":         {change: func(*server.Options) {}, stays: true},
		"the same again":  {change: func(o *server.Options) { o.Certificates = a.set(true) }, stays: true},
		"a rule for it":   {change: func(o *server.Options) { o.Clients = []server.ClientRule{{Match: "station-1"}} }, stays: true},
		"no rule for it":  {func(o *server.Options) { o.Clients = []server.ClientRule{{Match: "station-2"}} }, false, "may not connect"},
		"another CA":      {func(o *server.Options) { o.Certificates = next.set(true) }, false, "CN=station-1"},
		"no certificates": {func(o *server.Options) { o.Certificates = nil }, false, "no certificate"},
		"revoked": {func(o *server.Options) {
			o.Certificates = a.set(true, func(s *certificate.Source) { s.CRL = a.CRL(t, valid.Certificates[0].Leaf.SerialNumber) })
		}, false, "revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			o := a.options(true)
			var log lockedBuffer
			member, there, let := gate()
			h := a.startTLS(t, server.Either, o, &log, member)
			plain, idle, half, busy := h.plain(t), h.as(t, valid), h.as(t, valid), h.as(t, valid)
			plain.step()
			idle.step()
			half.send(`{"step_id":1}{"step`)
			half.expect(`"error_code":0`)
			busy.send(`{"step_id":1}{"step_id":2}`)
			busy.expect(`{"step_id":1,"error_code":0}`)
			<-there
			c.change(&o)
			h.SetOptions(o)
			h.RecheckPeers()
			h.RecheckPeers()
			if !c.stays {
				idle.expectClosed()
				half.expectClosed()
			}
			let()
			busy.expect(`{"step_id":2,"error_code":0}`)
			if !c.stays {
				busy.expectClosed()
				if n := strings.Count(log.String(), "no longer accepted"); n != 3 || !strings.Contains(log.String(), c.logged) {
					t.Errorf("%d lines, want 3 that say %q:\n%s", n, c.logged, log.String())
				}
			} else {
				half.send(`_id":2}`)
				half.expect(`{"step_id":2,"error_code":0}`)
			}
			plain.send(`{"step_id":2}`)
			plain.expect(`{"step_id":2,"error_code":0}`)
		})
	}
}

// TestReloadDuringHandshake: a client whose handshake began under certificates that would not let it in
// any more does not stay.
func TestReloadDuringHandshake(t *testing.T) {
	a, next := newAuthority(t), newAuthority(t)
	o := a.options(true)
	var log lockedBuffer
	h := a.startTLS(t, server.TLS, o, &log)
	gated := &gatedConn{Conn: h.plain(t).Conn, reached: make(chan struct{}), let: make(chan struct{})}
	p := newPeer(t, tls.Client(gated, a.clientAs(certtest.Template{CN: "station-1"})))
	done := make(chan error, 1)
	go func() { done <- p.Conn.(*tls.Conn).Handshake() }()
	<-gated.reached // the agent's answer has come
	o.Certificates = next.set(true)
	h.SetOptions(o)
	h.RecheckPeers()
	close(gated.let)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	p.expectClosed()
	waitFor(t, "a line", func() bool { return strings.Contains(log.String(), "no longer accepted") })
	if n := h.sessions.Stats(); n.Passed != 0 {
		t.Errorf("%+v", n)
	}
}

// A gatedConn holds back the second write, once it is reached, until it is let.
type gatedConn struct {
	net.Conn
	writes       int
	reached, let chan struct{}
}

func (g *gatedConn) Write(b []byte) (int, error) {
	if g.writes++; g.writes == 2 {
		close(g.reached)
		<-g.let
	}
	return g.Conn.Write(b)
}

// TestRotationUnderLoad: while certificates are replaced again and again, clients that connect or are
// connected notice nothing.
func TestRotationUnderLoad(t *testing.T) {
	a := newAuthority(t)
	var log lockedBuffer
	h := a.startTLS(t, server.Either, a.options(true), &log)
	next := *a
	next.cert, next.key = a.Issue(t, certtest.Template{CN: "renewed", DNS: []string{"localhost"}, Key: certtest.Ed25519})
	sets := []server.Options{a.options(true), next.options(true)}
	var clients sync.WaitGroup
	for i := range 8 {
		config := a.clientAs(certtest.Template{CN: fmt.Sprintf("station-%d", i)})
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1) // some resume
		kept := h.as(t, config)
		clients.Go(func() {
			over := &harness{addr: h.addr, client: config}
			for range 10 {
				if err := oneStep(over); err != nil {
					t.Errorf("a new connection: %v", err)
				}
				if _, err := io.WriteString(kept, `{"step_id":1,"session":"kept"}`); err != nil {
					t.Error(err)
				}
				if line, err := kept.lines.ReadString('\n'); err != nil || !strings.Contains(line, `"step_id":1`) {
					t.Errorf("a connection that stays open got %q, %v", line, err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { clients.Wait(); close(done) }()
	for rotations := 0; ; rotations++ {
		h.SetOptions(sets[rotations%2])
		h.RecheckPeers()
		select {
		case <-done:
			if n := h.Stats(); n.TLSRefused != 0 || n.Handshakes[server.HandshakeOK] != 88 || strings.Contains(log.String(), "no longer accepted") {
				t.Errorf("%d rotations: %+v\n%s", rotations, n, log.String())
			}
			return
		case <-time.After(time.Millisecond):
		}
	}
}
