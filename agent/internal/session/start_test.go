package session_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/judge"
	"github.com/stepagent/stepagent/agent/internal/session"
	"github.com/stepagent/stepagent/agent/internal/trail"
	"github.com/stepagent/stepagent/agent/protocol"
)

// tryStart starts a request, and reports whether the answer had come when Start returned.
func tryStart(ctx context.Context, c *session.Conn, req protocol.Request) (a *answered, ok, atOnce bool) {
	a = newAnswered(req, time.Now())
	_, ok = c.Start(ctx, req, a.arrived, a)
	return a, ok, a.calls.Load() > 0
}

// TestStartIsDo: the answers are the same in all that they say.
func TestStartIsDo(t *testing.T) {
	t.Parallel()
	var got [2][]session.Answer
	for i, send := range []func(*session.Conn, protocol.Request) session.Answer{doWaiting, do} {
		synctest.Test(t, func(t *testing.T) {
			o := options
			o.MaxOpenPerAddress = 2
			a := newAgent(t, "advance", o)
			c := a.connect(here)
			defer c.Close()
			for _, req := range []protocol.Request{
				step(1), step(2), step(7), every(time.Second, step(4)), {StepID: 5, Timeout: protocol.Seconds(time.Second)},
				request("a", 1, 1), request("a", 2, 2), request("a", 1, 1), request("b", 1, 1),
				{StepID: 3, Session: "a", Data: order{Undecided: true}.data()}, {StepID: 3, Session: "a", Data: order{Delay: time.Second}.data()},
				{StepID: 4, Session: "a", Data: order{Takes: time.Second}.data()}, {StepID: 5, Session: "a", Data: []byte("{")},
			} {
				got[i] = append(got[i], send(c, req))
			}
			c.Close()
			a.check()
			a.expire()
		})
	}
	if diff := cmp.Diff(got[0], got[1], cmp.AllowUnexported(protocol.ReqID{})); diff != "" {
		t.Errorf("Do - Start +\n%s", diff)
	}
}

// TestStartLeavesNothing where it would have to wait.
func TestStartLeavesNothing(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	tests := map[string]struct {
		before []protocol.Request
		hold   bool // the turn
		ctx    context.Context
		req    protocol.Request
	}{
		"the first step without a name":        {nil, false, context.Background(), step(1)},
		"the turn is another's":                {[]protocol.Request{step(1)}, true, context.Background(), step(2)},
		"the context has ended":                {[]protocol.Request{step(1)}, false, ended, step(2)},
		"the context has ended, a first step":  {nil, false, ended, named("a", 2)},
		"the context has ended, with a name":   {[]protocol.Request{named("a", 1)}, false, ended, named("a", 2)},
		"the context has ended, asked already": {[]protocol.Request{request("a", 1, 1)}, false, ended, request("a", 1, 1)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := newAgent(t, "advance", options)
				c := a.connect(here)
				for _, req := range test.before {
					a.want("1 ok", do(c, req))
				}
				stats := a.Stats()
				pass := func() {}
				if test.hold {
					pass = c.HoldTurn()
				}
				if to, ok, _ := tryStart(test.ctx, c, test.req); ok || to.calls.Load() > 0 {
					t.Errorf("started %t, answered %d times", ok, to.calls.Load())
				}
				pass()
				if diff := cmp.Diff(stats, a.Stats()); diff != "" {
					t.Errorf("before - after +\n%s", diff)
				}
				a.check()
				c.Close()
				a.expire()
			})
		})
	}
}

// TestStartWhereTheSeatIsBusy with the step of another connection leaves that alone.
func TestStartWhereTheSeatIsBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, "advance", options)
		c, d := a.connect(here), a.connect(there)
		a.want("1 ok", do(c, named("a", 1)))
		slow := named("a", 2)
		slow.Data = order{Takes: time.Second}.data()
		first, ok, atOnce := tryStart(context.Background(), c, slow)
		if !ok || atOnce {
			t.Fatalf("started %t, answered at once %t", ok, atOnce)
		}
		before := a.Stats()
		if _, ok, atOnce := tryStart(context.Background(), d, named("a", 3)); ok || atOnce {
			t.Errorf("started %t, answered at once %t", ok, atOnce)
		}
		if diff := cmp.Diff(before, a.Stats()); diff != "" {
			t.Errorf("before - after +\n%s", diff)
		}
		a.want("2 ok", first.wait())
		a.want("3 ok", do(d, named("a", 3)))
		c.Close()
		d.Close()
		a.check()
		a.expire()
	})
}

// TestStartWhereAValidatorMustBeWaitedFor leaves nothing behind, neither of a session that
// would have begun nor in one that is open.
func TestStartWhereAValidatorMustBeWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := judge.New(judge.NewChain(judge.Options{Limits: judge.Limits{Cap: time.Second}},
			judge.Local(judge.Member{Name: "obedient", Validator: obedient{}})))
		a := &agent{TB: t, Manager: session.NewManager(j, options, slog.New(&lines{}))}
		c := a.connect(here)
		for id := range int64(3) {
			before := a.Stats()
			if _, ok, atOnce := tryStart(context.Background(), c, named("a", id+1)); ok || atOnce {
				t.Errorf("started %t, answered at once %t", ok, atOnce)
			}
			a.check()
			if diff := cmp.Diff(before, a.Stats()); diff != "" {
				t.Errorf("before - after +\n%s", diff)
			}
			a.want(ok(id+1), do(c, named("a", id+1)))
		}
		c.Close()
		a.expire()
	})
}

// TestAnsweredWithinStart is what need not be judged.
func TestAnsweredWithinStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.MaxOpen = 1
		a := newAgent(t, "advance", o)
		c := a.connect(here)
		a.want("1 ok", do(c, request("a", 1, 1)))
		for want, req := range map[string]protocol.Request{"1 ok replayed": request("a", 1, 1), "1 busy": named("b", 1)} {
			to, ok, atOnce := tryStart(context.Background(), c, req)
			if !ok || !atOnce {
				t.Fatalf("%s: started %t, answered at once %t", want, ok, atOnce)
			}
			a.want(want, to.wait())
		}
		c.Close()
		a.check()
		a.expire()
	})
}

// brittle panics once, when it is told of the end of a session or of an undecided step.
type brittle struct {
	lines
	broken bool
}

func (b *brittle) Record(trail.Event) { b.snap() }

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

// TestPanicAfterTheVerdict comes to the caller either way, with where it came from; the
// turn is given back and a session that had not begun taken back.
func TestPanicAfterTheVerdict(t *testing.T) {
	t.Parallel()
	undecided := named("a", 1)
	undecided.Data = order{Undecided: true}.data()
	for name, test := range map[string]struct {
		steps int
		req   protocol.Request
	}{
		"as the session ends":        {1, named("a", 1)},
		"before the session begins":  {10, undecided},
		"that came within the Start": {1, named("a", 2)},
	} {
		for _, starts := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b, o := &brittle{}, options
					o.Steps, o.Recorder = test.steps, b
					a := &agent{TB: t, judge: judge.New(chain(t, "advance", 1))}
					var j session.Judge = meddling{a}
					if starts {
						j = starting{meddling{a}}
					}
					a.Manager = session.NewManager(j, o, slog.New(b))
					c := a.connect(here)
					to := newAnswered(test.req, time.Now())
					func() {
						defer func() {
							if p := recover(); p != "snapped" {
								t.Errorf("recovered %v", p)
							}
						}()
						_, ok := c.Start(context.Background(), to.req, to.arrived, to)
						if ok != starts {
							t.Errorf("started: %t", ok)
						}
						if !ok {
							doWaiting(c, test.req)
						}
						to.wait()
					}()
					if starts && !strings.Contains(string(to.stack), "snap(") {
						t.Errorf("the stack is not that of the panic:\n%s", to.stack)
					}
					if open := a.Stats().Open; open != 0 {
						t.Errorf("%d sessions open", open)
					}
					a.check()
					do(c, named("a", 1))
					c.Close()
					a.check()
					a.expire()
				})
			})
		}
	}
}
