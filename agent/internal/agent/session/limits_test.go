package session_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// TestSessionLimitPerAddress: the sessions that an address began count until they end, whichever
// connection continues them.
func TestSessionLimitPerAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.Steps, o.MaxOpenPerAddress = 2, 2
		a := newAgent(t, "advance", o)
		c, d := a.connect(here), a.connect(there)
		a.want("1 ok", do(c, named("a", 1)))
		a.want("1 ok", do(c, step(1)))
		busy := do(c, named("b", 1))
		a.want("1 busy", busy)
		if want := "the agent has 2 sessions open from this address"; !strings.HasPrefix(busy.Reply.Detail, want) {
			t.Errorf("detail %q, want %q", busy.Reply.Detail, want)
		}
		a.want("1 ok", do(d, named("b", 1)))
		a.want("2 ok end", do(c, named("b", 2))) // there's session
		a.want("1 busy", do(c, named("b", 1)))
		a.want("2 ok end", do(d, named("a", 2))) // here's
		a.want("1 ok", do(c, named("b", 1)))
		a.check()
		c.Close()
		d.Close()
		a.expire()
	})
}

// wordy fails every step with a detail of the given number of bytes.
type wordy int

func (wordy) First() judge.Expectation { return judge.Expectation{} }
func (w wordy) Judge(context.Context, judge.Session, judge.Step) judge.Judgement {
	return judge.Judgement{Outcome: validator.Fail, By: "wordy", Reason: validator.RuleBroken, Detail: strings.Repeat("d", int(w))}
}

func (w wordy) Try(s judge.Session, step judge.Step) (judge.Judgement, bool) {
	return w.Judge(context.Background(), s, step), true
}

// TestReplayBytesAreBounded: retained names are evicted first, the one retained longest before the
// others; then each name drops its own oldest replies, and never its last.
func TestReplayBytesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const one = session.ReplyBytes + 512
		o := options
		o.Steps, o.RememberedBytes = 3, 6*one
		a := &agent{TB: t, Manager: session.NewManager(wordy(512), o, slog.New(slog.DiscardHandler))}
		c := a.connect(here)
		ask := func(want, name string, req int64) {
			t.Helper()
			a.want("1 rule_broken"+want, do(c, request(name, 1, req)))
			a.check()
		}
		remembered := func(want int) {
			t.Helper()
			if got := a.Stats().RememberedBytes; got != want {
				t.Errorf("%d bytes are remembered, want %d", got, want)
			}
		}
		for _, name := range []string{"a", "b"} {
			ask("", name, 1)
			ask("", name, 2)
			ask(" end", name, 3)
		}
		remembered(6 * one)
		ask("", "c", 1) // a is evicted
		remembered(4 * one)
		ask(" end replayed", "b", 3)
		ask("", "a", 3)
		ask("", "a", 4)
		ask("", "c", 2) // b is
		remembered(4 * one)
		ask("", "d", 1)
		ask("", "d", 2)
		ask("", "e", 1) // none is retained: each keeps its last
		ask("", "e", 2)
		remembered(7 * one)
		ask(" replayed", "e", 2)
		ask(" replayed", "c", 1)
		ask(" replayed", "a", 3)
		ask(" end", "e", 1) // had been dropped

		o.RememberedBytes = 2 * one
		a.SetOptions(o)
		ask(" end", "a", 5) // e is evicted, and a's oldest reply dropped
		ask(" end replayed", "a", 5)
		remembered(5 * one)
		c.Close()
		a.check()
		a.expire()
	})
}

// TestManyNamesStayWithinLimits: one client cannot fill the memory with replies.
func TestManyNamesStayWithinLimits(t *testing.T) {
	t.Parallel()
	o := options
	o.Steps, o.MaxOpen, o.RememberedBytes = 1000, 200, 1<<20
	m := session.NewManager(wordy(validator.MaxDetailBytes), o, slog.New(slog.DiscardHandler))
	c := m.Connect(session.Peer{Addr: netip.MustParseAddrPort("192.0.2.1:1")})
	for n := range o.MaxOpen {
		for id := range int64(64) {
			c.Do(t.Context(), request(fmt.Sprint(n), 1, id), time.Now())
		}
	}
	most := o.RememberedBytes + o.MaxOpen*(session.ReplyBytes+validator.MaxDetailBytes)
	if got := m.Stats(); got.Open != o.MaxOpen || got.RememberedBytes > most || got.RememberedBytes < o.RememberedBytes {
		t.Errorf("got %+v, want %d open and %d to %d bytes", got, o.MaxOpen, o.RememberedBytes, most)
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
	c.Close()
	m.Close()
}

// TestCachedReplyIsCountedInFull: with a step id and the longest req.
func TestCachedReplyIsCountedInFull(t *testing.T) {
	t.Parallel()
	const stepID = 8
	if got := unsafe.Sizeof(protocol.Reply{}) + stepID + protocol.MaxNameBytes; got > session.ReplyBytes {
		t.Errorf("a cached reply takes %d bytes and is counted as %d", got, session.ReplyBytes)
	}
}
