package session_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/protocol"
)

// options are those of the tests, with odd numbers so that no two deadlines meet.
var options = session.Options{
	Steps:             10,
	IdleTimeout:       60 * time.Second,
	ResumeWindow:      13 * time.Second,
	LongestInterval:   time.Hour,
	TakeoverWait:      250 * time.Millisecond,
	RememberedReplies: 64,
	RememberedBytes:   1 << 20,
	MaxOpen:           1000,
	MaxOpenPerAddress: 1000,
}

// An agent is a Manager under test, with what it needs.
type agent struct {
	rapid.TB
	*session.Manager
	judge *judge.Judge
	log   *lines
	ports atomic.Uint32
	first atomic.Pointer[func()] // runs once when a session is about to begin
}

// newAgent returns an agent whose validator sequence has the mode, and which has some answers
// cached.
func newAgent(t rapid.TB, mode string, o session.Options) *agent {
	t.Helper()
	return newAgentWith(t, mode, o, something)
}

// newAgentWith is newAgent with other cached answers.
func newAgentWith(t rapid.TB, mode string, o session.Options, at cached) *agent {
	t.Helper()
	a := &agent{TB: t, judge: judge.New(chain(t, mode, 1, at)), log: &lines{}}
	a.Manager = session.NewManager(meddling{a}, o, slog.New(a.log))
	a.ports.Store(40000)
	return a
}

// connect opens a connection from the address, each time from another port.
func (a *agent) connect(addr string) *session.Conn { return a.connectPeer(addr, nil) }

func (a *agent) connectPeer(addr string, gone func() bool) *session.Conn {
	peer := a.peer(addr)
	peer.Gone = gone
	return a.Connect(peer)
}

// connectAs is connect for a client with an identity.
func (a *agent) connectAs(identity, addr string) *session.Conn {
	peer := a.peer(addr)
	peer.Identity = identity
	return a.Connect(peer)
}

// peer returns one at the address, each time at another port.
func (a *agent) peer(addr string) session.Peer {
	return session.Peer{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(a.ports.Add(1)))}
}

// check looks at the tables once nothing moves any more.
func (a *agent) check() {
	a.Helper()
	synctest.Wait()
	if err := a.Check(); err != nil {
		a.Fatalf("the tables are wrong: %v", err)
	}
}

// expire waits until all sessions and cached replies must have expired.
func (a *agent) expire() {
	a.Helper()
	time.Sleep(1000 * time.Hour)
	synctest.Wait()
	if left := a.Leftovers(); left != "" {
		a.Fatalf("after all has ended there are still %s", left)
	}
}

// step is a request without anything optional but a long timeout.
func step(id int64) protocol.Request {
	return protocol.Request{StepID: id, Timeout: protocol.Seconds(5 * time.Second)}
}

// named is a step that names its session.
func named(name string, id int64) protocol.Request {
	req := step(id)
	req.Session = name
	return req
}

func every(interval time.Duration, req protocol.Request) protocol.Request {
	req.Interval = protocol.Seconds(interval)
	return req
}

// once sends the step over a connection of its own.
func (a *agent) once(addr string, req protocol.Request) session.Answer {
	c := a.connect(addr)
	defer c.Close()
	return do(c, req)
}

// said is a reply in short: "3 ok", "100 out_of_order", "10 ok end".
func said(answer session.Answer) string {
	r := answer.Reply
	word := string(r.Reason)
	if word == "" {
		word = "ok"
	}
	s := "? " + word
	if r.StepID != nil {
		s = fmt.Sprint(*r.StepID, " ", word)
	}
	if r.End {
		s += " end"
	}
	if answer.Replayed {
		s += " replayed"
	}
	return s
}

// want compares an answer with what must be said.
func (a *agent) want(what string, answer session.Answer) {
	a.Helper()
	if got := said(answer); got != what {
		a.Errorf("got %q (%s), want %q", got, answer.Reply.Detail, what)
	}
}

func ok(id int64) string { return fmt.Sprint(id, " ok") }
