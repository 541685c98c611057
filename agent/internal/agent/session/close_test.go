package session_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/plugins/validator"
)

func TestCloseEndsAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, "advance", options)
		c := a.connect(here)
		a.want("1 ok", do(c, named("a", 1)))
		a.want("1 ok", do(c, step(1)))
		a.want("1 ok", a.once(here, step(1)))
		a.want("1 ok", a.once(here, named("b", 1)))
		for id := range int64(10) {
			do(c, named("rests", id+1))
		}
		slow := named("slow", 1)
		slow.Data = order{Takes: time.Second}.data()
		d := a.connect(there)
		judged := make(chan session.Answer, 1)
		go func() { judged <- do(d, slow) }()
		synctest.Wait()

		began := time.Now()
		a.Manager.Close()
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %v, want until the last step was judged", took)
		}
		a.want("1 ok", <-judged)
		if got := a.Leftovers(); got != "" {
			t.Errorf("there are still %s", got)
		}
		if got := a.Stats(); got.Incomplete != 5 || got.Completed != 1 || got.Open != 0 {
			t.Errorf("got %+v", got)
		}
		stopped := 0
		for _, line := range a.log.ends() {
			if strings.Contains(line.text, "verdict=incomplete") && strings.Contains(line.text, `cause=the agent stops`) {
				stopped++
			}
		}
		if stopped != 5 {
			t.Errorf("%d sessions were said to be stopped, want 5", stopped)
		}
		c.Close()
		d.Close()
		a.Manager.Close() // once more does no harm
		a.expire()
	})
}

// TestPanicReleasesTheTurn: the panic of the judge, be it within Try or within Do, is the
// connection's to deal with. The session goes on, or has not begun if this was its first step.
func TestPanicReleasesTheTurn(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "bench-7"} {
		for _, before := range []int64{0, 1} {
			for _, send := range []way{do, doWaiting} {
				inBubble(t, func(a *agent) { a.panics(name, before, send) })
			}
		}
	}
}

// panics has the judge panic after the steps before, and the session go on over another connection.
func (a *agent) panics(name string, before int64, send way) {
	a.Helper()
	c := a.connect(here)
	for id := range before {
		a.want(ok(id+1), do(c, named(name, id+1)))
	}
	broken := named(name, before+1)
	broken.Data = order{Panic: "a defect"}.data()
	func() {
		defer func() {
			if p := recover(); p != "a defect" {
				a.Errorf("recovered %v, want what the judge panicked with", p)
			}
		}()
		send(c, broken)
	}()
	if got := a.Stats().Open; int64(got) != before {
		a.Errorf("%d sessions open after the panic, want %d", got, before)
	}
	a.check()
	c.Close()
	a.want(ok(before+1), a.once(here, named(name, before+1)))
}

// TestFaultIsAskedForOnce: with the answer, and not when the reply is given again.
func TestFaultIsAskedForOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c := a.connect(here)
		defer c.Close()
		req := request("a", 1, 1)
		req.Data = order{Delay: time.Second}.data()
		if got := do(c, req).Fault; got == nil || *got != (validator.Fault{Kind: validator.FaultDelay, Delay: time.Second}) {
			t.Errorf("got fault %+v", got)
		}
		if got := do(c, req); got.Fault != nil || !got.Replayed {
			t.Errorf("given again: got %+v", got)
		}
	})
}
