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
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/protocol"
)

// brittle panics once, when it is told of the end of a session or of an undecided step.
type brittle struct {
	lines
	broken bool
}

func (b *brittle) Record(auditlog.Event) { b.snap() }

func (b *brittle) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "step undecided" {
		b.snap()
	}
	return b.lines.Handle(ctx, r)
}

func (b *brittle) snap() {
	if !b.broken {
		b.broken = true
		panic("snapped")
	}
}

// TestPanicAfterTheVerdict comes to the caller either way; the turn is given back and a session
// that had not begun taken back.
func TestPanicAfterTheVerdict(t *testing.T) {
	t.Parallel()
	undecided := named("a", 1)
	undecided.Data = order{Undecided: true}.data()
	for name, test := range map[string]struct {
		steps int
		req   protocol.Request
	}{
		"as the session ends":       {1, named("a", 1)},
		"as it ends with a fail":    {1, named("a", 2)},
		"without a name":            {1, step(1)},
		"before the session begins": {10, undecided},
	} {
		for _, tries := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					panicAfterTheVerdict(t, test.steps, test.req, tries)
				})
			})
		}
	}
}

func panicAfterTheVerdict(t *testing.T, steps int, req protocol.Request, tries bool) {
	b, o := &brittle{}, options
	o.Steps, o.Recorder = steps, b
	a := &agent{TB: t, judge: judge.New(chain(t, "advance", 1, everything))}
	a.Manager = session.NewManager(meddling{a}, o, slog.New(b))
	send := doWaiting
	if tries {
		send = a.mustTry
	}
	c := a.connect(here)
	func() {
		defer func() {
			if p := recover(); p != "snapped" {
				t.Errorf("by Try %t: recovered %v", tries, p)
			}
		}()
		send(c, req)
	}()
	if open := a.Stats().Open; open != 0 {
		t.Errorf("by Try %t: %d sessions open", tries, open)
	}
	a.check()
	sound := req
	sound.Data = nil
	send(c, sound)
	c.Close()
	a.check()
	a.expire()
}

// A fragile group panics within Try.
type fragile struct{ judge.Group }

func (fragile) Try(*judge.Call) ([]judge.Answer, bool) { panic("cannot") }

// TestPanicWithinTry of a group is the caller's: the turn is given back, no session is left without
// a step, the chain is not held, and the step can be judged.
func TestPanicWithinTry(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a"} {
		for _, before := range []int64{0, 1, 10} {
			synctest.Test(t, func(t *testing.T) { panicWithinTry(t, name, before) })
		}
	}
}

func panicWithinTry(t *testing.T, name string, before int64) {
	a := newAgentWith(t, "advance", options, everything)
	c := a.connect(here)
	for id := range before {
		a.mustTry(c, named(name, id+1))
	}
	broken := judge.NewChain(judge.Options{Generation: 2},
		fragile{judge.Local(judge.Member{Name: "obedient", Validator: obedient{}})})
	a.judge.Swap(broken)
	stats, next := a.Stats(), named(name, before%10+1)
	for range 2 {
		func() {
			defer func() {
				if p := recover(); p != "cannot" {
					t.Errorf("%q after %d steps: recovered %v", name, before, p)
				}
			}()
			try(c, next, time.Now())
		}()
	}
	if diff := cmp.Diff(stats, a.Stats()); diff != "" {
		t.Errorf("%q after %d steps: before - after +\n%s", name, before, diff)
	}
	a.check()
	a.judge.Swap(chain(t, "advance", 3, everything))
	<-broken.Drained()
	a.want(ok(before%10+1), a.mustTry(c, next))
	c.Close()
	a.check()
	a.expire()
}
