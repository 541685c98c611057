package session_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/protocol"
)

const (
	here  = "192.0.2.1"
	there = "192.0.2.2"
)

// inBubble runs the test on virtual time, with an agent whose validator sequence advances: once
// where the validators must be asked about every step, and then with some and with all answers
// cached. When it ends, the agent's tables must be sound and, once all has expired, empty.
func inBubble(t *testing.T, test func(a *agent)) {
	t.Helper()
	for _, at := range []cached{nothing, something, everything} {
		synctest.Test(t, func(t *testing.T) {
			a := newAgentWith(t, "advance", options, at)
			test(a)
			a.check()
			a.expire()
		})
	}
}

func TestSessionEndsWithItsLastStepAndTheNextBeginsAnother(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "bench-7"} {
		inBubble(t, func(a *agent) {
			c := a.connect(here)
			defer c.Close()
			for round := range 3 {
				for id := range int64(9) {
					a.want(ok(id+1), do(c, named(name, id+1)))
				}
				a.want("10 ok end", do(c, named(name, 10)))
				if got := a.Stats(); got.Open != 0 || got.Completed != uint64(round+1) {
					t.Errorf("after round %d: %+v", round, got)
				}
			}
		})
	}
}

func TestLastStepEndsTheSessionThoughItFails(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c := a.connect(here)
		defer c.Close()
		for range 9 {
			do(c, step(0))
		}
		a.want("0 out_of_order end", do(c, step(0)))
		a.want("1 ok", do(c, step(1)))
	})
}

func TestSessionsAreKeptApart(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c, d := a.connect(here), a.connect(here)
		defer c.Close()
		defer d.Close()
		a.want("1 ok", do(c, named("a", 1)))
		a.want("1 ok", do(c, named("b", 1)))
		a.want("1 ok", do(c, step(1)))
		a.want("1 ok", do(d, step(1)))
		a.want("2 ok", do(d, named("a", 2))) // a name is the same over any connection
		a.want("2 ok", do(c, step(2)))
		a.want("2 ok", do(d, named("b", 2)))
		a.want("2 ok", do(d, step(2)))
		a.want("3 ok", do(c, named("a", 3)))
	})
}

// TestUndecidedStepTakesNoPosition: it may be sent again, and a session whose first step it
// was has not begun.
func TestUndecidedStepTakesNoPosition(t *testing.T) {
	t.Parallel()
	unsure := func(req protocol.Request) protocol.Request {
		req.Data = order{Undecided: true}.data()
		return req
	}
	for _, name := range []string{"", "bench-7"} {
		for _, perStep := range []bool{false, true} {
			inBubble(t, func(a *agent) {
				c := a.connect(here)
				defer func() { c.Close() }()
				send := func(req protocol.Request) session.Answer {
					if perStep {
						c.Close()
						c = a.connect(here)
					}
					return do(c, req)
				}
				for id := range int64(10) {
					for range 2 {
						a.want(fmt.Sprint(id+1, " validator_unavailable"), send(unsure(named(name, id+1))))
						a.check()
						if id == 0 && name != "" && a.Leftovers() != "" {
							t.Errorf("before any step was judged there are %s", a.Leftovers())
						}
						if got, want := a.Stats().Open, min(id, 1); int64(got) != want {
							t.Errorf("%d sessions open before step %d was judged, want %d", got, id+1, want)
						}
					}
					if got := send(named(name, id+1)); !got.Reply.OK() {
						t.Errorf("sent again: got %s", said(got))
					}
				}
				if got := a.Stats(); got.Completed != 1 || got.Undecided != 20 || got.Passed != 10 || got.ByReason[protocol.ValidatorUnavailable] != 20 {
					t.Errorf("got %+v", got)
				}
			})
		}
	}
}

func TestSessionLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.MaxOpen = 2
		a := newAgent(t, "advance", o)
		c := a.connect(here)
		a.want("1 ok", do(c, named("a", 1)))
		a.want("1 ok", do(c, step(1)))
		a.want("1 busy", do(c, named("b", 1)))
		a.want("1 busy", a.once(there, step(1)))
		a.want("7 busy", a.once(there, step(7)))
		a.want("2 ok", do(c, named("a", 2)))
		a.want("2 ok", do(c, step(2)))
		a.check()
		c.Close()
		time.Sleep(options.ResumeWindow)
		synctest.Wait()
		a.want("1 ok", a.once(there, step(1)))
		a.want("1 ok", a.once(there, named("b", 1)))
		a.check()
		a.expire()
	})
}

// TestBusyStepCanBeRepeated: a refusal for want of room takes nothing with it.
func TestBusyStepCanBeRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.MaxOpen, o.Steps = 1, 2
		a := newAgent(t, "advance", o)
		c, d := a.connect(here), a.connect(there)
		req := named("a", 1)
		req.Req = protocol.NumReq(1)
		a.want("1 ok", do(c, step(1)))
		a.want("1 busy", do(d, req))
		a.want("1 busy", do(d, step(1)))
		a.want("2 ok end", do(c, step(2)))
		a.want("1 ok", do(d, req))
		a.want("1 ok replayed", do(d, req))
		a.want("2 ok end", do(d, named("a", 2)))
		a.want("1 ok", do(d, step(1)))
		c.Close()
		d.Close()
		a.check()
		a.expire()
	})
}
