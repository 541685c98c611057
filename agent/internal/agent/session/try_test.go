package session_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/protocol"
)

// mustTry has a request judged by Try.
func (a *agent) mustTry(c *session.Conn, req protocol.Request) session.Answer {
	a.Helper()
	answer, ok := try(c, req, time.Now())
	if !ok {
		a.Errorf("Try says no to step %d of %q", req.StepID, req.Session)
	}
	return answer
}

// mustNotTry has Try say no to a request, at once and without a trace in the counts.
func (a *agent) mustNotTry(c *session.Conn, req protocol.Request) {
	a.Helper()
	stats, began := a.Stats(), time.Now()
	answer, ok := try(c, req, began)
	diff := cmp.Diff(session.Answer{}, answer, cmp.AllowUnexported(protocol.ReqID{}))
	if ok || diff != "" {
		a.Errorf("Try answers step %d of %q: %s", req.StepID, req.Session, diff)
	}
	if diff := cmp.Diff(stats, a.Stats()); diff != "" {
		a.Errorf("counts, before - after +\n%s", diff)
	}
	if took := time.Since(began); took != 0 {
		a.Errorf("Try took %v", took)
	}
}

// TestTryIsDo: the answers are the same in all that they say, whichever steps Try says no to.
func TestTryIsDo(t *testing.T) {
	t.Parallel()
	inData := func(id int64, o order) protocol.Request {
		return protocol.Request{StepID: id, Session: "a", Data: o.data()}
	}
	requests := []protocol.Request{
		step(1), step(2), step(7), every(time.Second, step(4)),
		{StepID: 5, Timeout: protocol.Seconds(time.Second)}, step(6), step(7),
		request("a", 1, 1), request("a", 2, 2), request("a", 1, 1), request("b", 1, 1),
		inData(3, order{Undecided: true}), inData(3, order{Delay: time.Second}),
		inData(4, order{Takes: time.Second}), {StepID: 5, Session: "a", Data: []byte("{")},
		inData(5, order{Undecided: true}), inData(5, order{}), request("a", 7, 7), request("a", 7, 7),
	}
	send := func(at cached, send way) (answers []session.Answer, stats session.Stats, logged []string) {
		synctest.Test(t, func(t *testing.T) {
			o := options
			o.MaxOpenPerAddress = 2
			a := newAgentWith(t, "advance", o, at)
			c := a.connect(here)
			for _, req := range requests {
				answers = append(answers, send(c, req))
			}
			stats = a.Stats()
			for _, line := range a.log.kept {
				logged = append(logged, line.text)
			}
			c.Close()
			a.check()
			a.expire()
		})
		return answers, stats, logged
	}
	answers, stats, logged := send(nothing, doWaiting)
	for _, at := range []cached{nothing, something, everything} {
		tried, triedStats, triedLogged := send(at, do)
		diff := cmp.Diff(answers, tried, cmp.AllowUnexported(protocol.ReqID{})) +
			cmp.Diff(stats, triedStats) + cmp.Diff(logged, triedLogged)
		if diff != "" {
			t.Errorf("Do - Try, then Do +\n%s", diff)
		}
	}
}

// TestTryHasNoEffect where it would have to wait: Do then gives the answer that it would have
// given without Try.
func TestTryHasNoEffect(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		at     cached
		before []protocol.Request
		hold   bool // the turn
		req    protocol.Request
		want   string
	}{
		"a first step that may resume": {everything, nil, false, step(2), "2 out_of_order"},
		"the turn is another's":        {everything, []protocol.Request{step(1)}, true, step(2), "2 ok"},
		"a validator, no session yet":  {nothing, nil, false, step(1), "1 ok"},
		"a validator, in a session":    {nothing, []protocol.Request{step(1)}, false, step(2), "2 ok"},
		"a validator, a new name":      {nothing, nil, false, named("a", 1), "1 ok"},
		"a validator, a name": {
			nothing, []protocol.Request{named("a", 1)}, false, named("a", 2), "2 ok",
		},
		"a validator, another session of a name": {
			nothing, procedure("a"), false, request("a", 1, 11), "1 ok",
		},
		"a validator, another session": {nothing, procedure(""), false, step(1), "1 ok"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := newAgentWith(t, "advance", options, test.at)
				c := a.connect(here)
				for _, req := range test.before {
					do(c, req)
				}
				names := c.Names()
				pass := func() {}
				if test.hold {
					pass = c.HoldTurn()
				}
				for range 3 {
					a.mustNotTry(c, test.req)
				}
				pass()
				a.check()
				if got := c.Names(); got != names {
					t.Errorf("the connection keeps %d names, want %d as before", got, names)
				}
				a.want(test.want, doWaiting(c, test.req))
				a.check()
				c.Close()
				a.expire()
			})
		})
	}
}

// procedure is all steps of one, each with a req.
func procedure(name string) (all []protocol.Request) {
	for id := range int64(options.Steps) {
		all = append(all, request(name, id+1, id+1))
	}
	return all
}

// TestFailedTryLeavesNoSlot: a connection that closes after it leaves no more behind than
// one that has sent nothing.
func TestFailedTryLeavesNoSlot(t *testing.T) {
	t.Parallel()
	for _, req := range []protocol.Request{step(1), step(2), named("a", 1)} {
		synctest.Test(t, func(t *testing.T) {
			a := newAgentWith(t, "advance", options, nothing)
			c := a.connect(here)
			a.mustNotTry(c, req)
			a.check()
			c.Close()
			if got := a.Leftovers(); got != "" {
				t.Errorf("there are still %s", got)
			}
			a.expire()
			if ends := a.log.ends(); len(ends) > 0 {
				t.Errorf("sessions have ended: %v", ends)
			}
		})
	}
}

// TestDoOfAContextThatHasEnded judges nothing and leaves nothing.
func TestDoOfAContextThatHasEnded(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	tests := map[string]struct {
		before []protocol.Request
		req    protocol.Request
		want   string
	}{
		"without a name": {[]protocol.Request{step(1)}, step(2), "2 shutting_down"},
		"a first step":   {nil, named("a", 2), "2 shutting_down"},
		"with a name":    {[]protocol.Request{named("a", 1)}, named("a", 2), "2 shutting_down"},
		"asked already":  {[]protocol.Request{request("a", 1, 1)}, request("a", 1, 1), "1 shutting_down"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(a *agent) {
				c := a.connect(here)
				for _, req := range test.before {
					a.want("1 ok", do(c, req))
				}
				stats := a.Stats()
				a.want(test.want, c.Do(ended, test.req, time.Now()))
				if diff := cmp.Diff(stats, a.Stats()); diff != "" {
					t.Errorf("before - after +\n%s", diff)
				}
				c.Close()
			})
		})
	}
}

// TestTryOfBusySlot with the step of another connection leaves that alone.
func TestTryOfBusySlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAgentWith(t, "advance", options, everything)
		c, d := a.connect(here), a.connect(there)
		a.want("1 ok", a.mustTry(c, named("a", 1)))
		slow := named("a", 2)
		slow.Data = order{Takes: time.Second}.data()
		a.mustNotTry(c, slow)
		first := make(chan session.Answer, 1)
		go func() { first <- doWaiting(c, slow) }()
		synctest.Wait()
		for range 3 {
			a.mustNotTry(d, named("a", 3))
			a.mustNotTry(d, request("a", 2, 2))
		}
		a.want("2 ok", <-first)
		a.want("3 ok", a.mustTry(d, named("a", 3)))
		c.Close()
		d.Close()
		a.check()
		a.expire()
	})
}

// TestTryWithoutCachedVerdict leaves nothing behind, neither of a session that
// would have begun nor in one that is open.
func TestTryWithoutCachedVerdict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := judge.New(judge.NewChain(judge.Options{Limits: judge.Limits{Cap: time.Second}},
			judge.Local(judge.Member{Name: "obedient", Validator: obedient{}})))
		a := &agent{TB: t, Manager: session.NewManager(j, options, slog.New(&lines{}))}
		c := a.connect(here)
		for id := range int64(3) {
			a.mustNotTry(c, named("a", id+1))
			a.check()
			a.want(ok(id+1), do(c, named("a", id+1)))
		}
		c.Close()
		a.expire()
	})
}

// TestTryWithoutJudging is what need not be judged, though no answer is cached.
func TestTryWithoutJudging(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.MaxOpen = 1
		a := newAgentWith(t, "advance", o, nothing)
		c := a.connect(here)
		a.want("1 ok", do(c, request("a", 1, 1)))
		a.want("1 ok replayed", a.mustTry(c, request("a", 1, 1)))
		a.want("1 busy", a.mustTry(c, named("b", 1)))
		a.want("1 busy", a.mustTry(c, step(1)))
		c.Close()
		a.check()
		a.expire()
	})
}

// TestTryOfAFirstStep: without a name, the step that begins a procedure has no takeover to wait
// for; any other one may have, and is left to Do, whether or not there is a session to resume.
func TestTryOfAFirstStep(t *testing.T) {
	t.Parallel()
	unknowing := func(a *agent) {
		a.judge.Swap(judge.NewChain(judge.Options{Generation: 2},
			judge.Inline(judge.Member{Name: "obedient", Validator: obedient{}})))
	}
	for name, prepare := range map[string]func(*agent){
		"said by a validator": func(*agent) {}, "known by none": unknowing,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := newAgentWith(t, "advance", options, everything)
				prepare(a)
				earlier := a.connect(here)
				a.want("1 ok", a.mustTry(earlier, step(1)))
				a.want("2 ok", a.mustTry(earlier, step(2)))
				earlier.Close()

				other := a.connect(here)
				a.want("1 ok", a.mustTry(other, step(1)))
				if got := a.Stats().Open; got != 2 {
					t.Errorf("%d sessions are open, want the one that was left and another", got)
				}
				next := a.connect(here)
				a.mustNotTry(next, step(3))
				a.mustNotTry(next, step(3))
				a.want("3 ok", doWaiting(next, step(3)))
				a.want("4 ok", a.mustTry(next, step(4)))
				a.want("2 ok", a.mustTry(other, step(2)))
				if got := a.Stats().Open; got != 2 {
					t.Errorf("%d sessions are open, want 2", got)
				}
				next.Close()
				other.Close()
				a.check()
				a.expire()
			})
		})
	}
}

// TestTryOfRemovedSlot: the name is evicted at that very moment. Try says no, and
// Do finds the name another slot.
func TestTryOfRemovedSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.Steps, o.MaxOpen = 1, 2
		a := newAgentWith(t, "advance", o, everything)
		c, d := a.connect(here), a.connect(there)
		a.want("1 ok end", a.mustTry(c, named("a", 1)))
		a.want("1 ok end", a.mustTry(c, named("b", 1)))
		a.first.Store(new(func() { a.want("1 ok end", a.mustTry(d, named("c", 1))) }))
		if answer, ok := try(c, named("a", 1), time.Now()); ok {
			t.Errorf("answered: %s", said(answer))
		}
		a.check()
		a.want("1 ok end", doWaiting(c, named("a", 1)))
		c.Close()
		d.Close()
		a.check()
		a.expire()
	})
}

// TestTryTakesNoTime: its answer says that the request had no turn to wait for.
func TestTryTakesNoTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAgentWith(t, "advance", options, everything)
		c := a.connect(here)
		arrived := time.Now()
		time.Sleep(time.Second)
		answer, ok := try(c, named("a", 1), arrived)
		if !ok || answer.Trace.Turn != 0 {
			t.Errorf("answered %t after a turn of %v, want none", ok, answer.Trace.Turn)
		}
		c.Close()
		a.check()
		a.expire()
	})
}
