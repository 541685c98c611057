package server_test

import (
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
	"github.com/stepagent/stepagent/agent/protocol"
)

// TestIdentityLimit: a rule limits the connections of each identity by itself.
func TestIdentityLimit(t *testing.T) {
	a := newAuthority(t)
	o := a.options(true)
	o.Clients = []server.ClientRule{{Match: "station-*", Connections: 1}}
	var log lockedBuffer
	h := a.startTLS(t, server.TLS, o, &log)
	one, two := a.clientAs(certtest.Template{CN: "station-1"}), a.clientAs(certtest.Template{CN: "station-2"})
	first := h.as(t, one)
	first.step()
	second := h.as(t, one)
	second.send(`{"step_id":1}`)
	second.expect(`"busy"`, "1 connections of station-1")
	second.expectClosed()
	h.as(t, two).step()
	if n := h.Stats(); n.Refused != 1 || n.TLSRefused != 0 {
		t.Errorf("%+v", n)
	}
	if !strings.Contains(log.String(), "identity=station-1") {
		t.Errorf("no identity in:\n%s", log.String())
	}
	_ = first.Close()
	waitFor(t, "a place", func() bool { return h.Stats().Open == 1 })
	h.as(t, one).step()
}

// TestSessionNamesOfIdentities: an identity has its named sessions for itself, may use the names that its
// rule says, also a rule that came later, and has a limit of its own of open sessions.
func TestSessionNamesOfIdentities(t *testing.T) {
	a := newAuthority(t)
	o := a.options(true)
	o.Clients = []server.ClientRule{{Match: "station-1", Sessions: []string{"s", "a-*"}}, {Match: "*", SessionsOpen: 1}}
	var events recorder
	o.Recorder = &events
	h := a.startTLS(t, server.TLS, o, io.Discard)
	one, two := h.as(t, a.clientAs(certtest.Template{CN: "station-1"})), h.as(t, a.clientAs(certtest.Template{CN: "station-2"}))
	one.send(`{"step_id":1,"session":"s"}`)
	one.expect(`{"step_id":1,"error_code":0`)
	two.send(`{"step_id":2,"session":"s"}`) // is not the second step of the other's
	two.expect(`"out_of_order"`)
	two.send(`{"step_id":1,"session":"another"}`)
	two.expect(`"busy"`)
	one.send(`{"step_id":1,"session":"b"}`)
	one.expect(`"bad_request"`, `\"b\" is not one that station-1 may use`)
	one.send(`{"step_id":2,"session":"s"}{"step_id":1,"session":"a-1"}`)
	one.expect(`{"step_id":2,"error_code":0`)
	one.expect(`{"step_id":1,"error_code":0`)
	o.Clients = []server.ClientRule{{Match: "*", Sessions: []string{"b"}}}
	h.SetOptions(o)
	h.RecheckPeers()
	one.send(`{"step_id":3,"session":"s"}{"step_id":1,"session":"b"}`)
	one.expect(`"bad_request"`)
	one.expect(`{"step_id":1,"error_code":0`)
	if n := h.Stats().RefusedByReason; n[protocol.BadRequest] != 2 || n[protocol.Busy] != 1 {
		t.Errorf("%v", n)
	}
	for _, e := range events.steps() {
		if e.Identity != "station-1" && e.Identity != "station-2" {
			t.Errorf("the record has the identity %q", e.Identity)
		}
	}
}

// A recorder keeps the steps that are recorded.
type recorder struct {
	mu  sync.Mutex
	all []auditlog.Step
}

func (r *recorder) Record(e auditlog.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Step != nil {
		r.all = append(r.all, *e.Step)
	}
}

func (r *recorder) steps() []auditlog.Step {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}
