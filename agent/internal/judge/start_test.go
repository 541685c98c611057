package judge_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/judge"
	"github.com/stepagent/stepagent/plugins/validator"
)

// A starter is a stub that can be put a step to without waiting.
type starter struct {
	*stub
	start func(s *starter, bound judge.Bound, call judge.Call, to judge.Receiver, index int)
	// flushed counts calls of Flush.
	flushed atomic.Int32
}

func (s *starter) Start(bound judge.Bound, call judge.Call, to judge.Receiver, index int) {
	s.start(s, bound, call, to, index)
}

func (s *starter) Flush() { s.flushed.Add(1) }

// give hands out the answers as a group may that uses the memory again at once.
func (s *starter) give(call judge.Call, to judge.Receiver, index int) {
	answers := slices.Clone(s.answers(context.Background(), call))
	to.Receive(index, answers)
	for i := range answers {
		answers[i] = fail(validator.RuleBroken, "of another step", "x")
	}
}

// atOnce answers within Start.
func atOnce(s *starter, _ judge.Bound, call judge.Call, to judge.Receiver, index int) {
	s.give(call, to, index)
}

// elsewhere answers within Start, from another goroutine.
func elsewhere(s *starter, _ judge.Bound, call judge.Call, to judge.Receiver, index int) {
	var given sync.WaitGroup
	given.Go(func() { s.give(call, to, index) })
	given.Wait()
}

// judgements is a Client that keeps what it gets.
type judgements chan judge.Judgement

func (c judgements) Judged(j judge.Judgement) { c <- j }

// one returns the only judgement that has come.
func (c judgements) one(t rapid.TB) judge.Judgement {
	t.Helper()
	if len(c) != 1 {
		t.Fatalf("%d judgements have come", len(c))
	}
	return <-c
}

// TestStartIsJudge compares Start with Judge: whatever the validators say, whenever and from
// wherever their answers come.
func TestStartIsJudge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			var pending judge.Pending // for one step after another
			var memory judge.Memory
			for position := range rapid.IntRange(1, 4).Draw(t, "steps") {
				c := drawCase(t)
				session := judge.Session{ID: "s", Position: position, Steps: 10, Memory: memory}
				got := c.startOn(t, &pending, session)
				want := judge.New(judge.NewChain(c.options, c.groups()...)).Judge(t.Context(), session, c.step)
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("Judge: %+v\nStart: %+v", want, got)
				}
				memory = want.Memory
			}
		})
	})
}

// A startCase is one step and the chain that judges it.
type startCase struct {
	options  judge.Options
	step     judge.Step
	starters []*starter
	// later are to be called when Start has returned: the answers that are still to come.
	later []func()
	// together has them come from goroutines of their own.
	together bool
}

func drawCase(t *rapid.T) *startCase {
	c := &startCase{
		options: judge.Options{
			Generation: rapid.Uint64().Draw(t, "generation"), Limits: limits,
			AllowFaults: rapid.Bool().Draw(t, "faults allowed"), Timed: rapid.Bool().Draw(t, "timed"),
		},
		step:     judge.Step{Arrived: time.Now(), Step: validator.Step{ID: rapid.Int64().Draw(t, "step_id")}},
		together: rapid.Bool().Draw(t, "together"),
	}
	names := rapid.Permutation([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "names")
	ways := []func(*starter, judge.Bound, judge.Call, judge.Receiver, int){atOnce, elsewhere, c.keep}
	for range rapid.IntRange(0, 3).Draw(t, "groups") {
		n := rapid.IntRange(1, 2).Draw(t, "validators")
		answers := rapid.SliceOfN(rapid.Custom(drawAnswer), n, n).Draw(t, "answers")
		if rapid.IntRange(0, 9).Draw(t, "an answer too few") == 9 {
			answers = answers[:n-1]
		}
		g := &stub{names: names[:n], answers: func(_ context.Context, call judge.Call) []judge.Answer {
			all := slices.Clone(answers)
			for i := range all { // the answer depends on all that the group is told
				all[i].Verdict.State = fmt.Append(all[i].Verdict.State, call.Step.ID, call.Session, call.States[i])
			}
			return all
		}}
		c.starters = append(c.starters, &starter{stub: g, start: rapid.SampledFrom(ways).Draw(t, "way")})
		names = names[n:]
	}
	c.later = nil
	return c
}

func drawAnswer(t *rapid.T) judge.Answer {
	a := rapid.SampledFrom([]judge.Answer{
		pass("p"), pass(""), fail(validator.OutOfOrder, "no", "f"), none("cannot tell"), {}, // which is undecided
		fail("no reason", "malformed", ""), faulty(pass(""), validator.FaultReset), faulty(pass(""), 99),
	}).Draw(t, "answer")
	a.Queued = time.Duration(rapid.IntRange(0, 2).Draw(t, "queued"))
	if rapid.Bool().Draw(t, "expecting") {
		a = expecting(a, rapid.Int64().Draw(t, "expects"))
	}
	return a
}

// keep leaves the answers to somebody else, after Start.
func (c *startCase) keep(s *starter, _ judge.Bound, call judge.Call, to judge.Receiver, index int) {
	c.later = append(c.later, func() { s.give(call, to, index) })
}

func (c *startCase) groups() []judge.Group {
	var groups []judge.Group
	for _, s := range c.starters {
		groups = append(groups, s)
	}
	return groups
}

// startOn has the step judged by Start, and looks at the chain meanwhile.
func (c *startCase) startOn(t *rapid.T, pending *judge.Pending, session judge.Session) judge.Judgement {
	chain := judge.NewChain(c.options, c.groups()...)
	j := judge.New(chain)
	client := make(judgements, 2)
	if got := j.Start(t.Context(), pending, session, c.step, client); got != chain {
		t.Fatalf("Start returned %v, want the chain", got)
	}
	chain.Flush()
	for i, s := range c.starters {
		if n := s.flushed.Load(); n != 1 {
			t.Fatalf("group %d was flushed %d times", i, n)
		}
	}
	j.Swap(judge.NewChain(judge.Options{}))
	if later := rapid.Permutation(c.later).Draw(t, "order"); c.together {
		var given sync.WaitGroup
		for _, give := range later {
			given.Go(give)
		}
		given.Wait()
	} else {
		for _, give := range later {
			if isDrained(chain) || len(client) > 0 {
				t.Fatal("done before all answers have come")
			}
			give()
		}
	}
	if !isDrained(chain) {
		t.Fatal("not drained though the step has been judged")
	}
	return client.one(t)
}

// TestStartWhereAGroupCannot does nothing.
func TestStartWhereAGroupCannot(t *testing.T) {
	t.Parallel()
	can := &starter{stub: saying([]string{"a"}, pass("")), start: func(*starter, judge.Bound, judge.Call, judge.Receiver, int) {
		t.Error("a group was asked")
	}}
	chain := judge.NewChain(judge.Options{}, can, saying([]string{"b"}, pass("")))
	j := judge.New(chain)
	client := make(judgements, 1)
	if got := j.Start(t.Context(), new(judge.Pending), judge.Session{}, judge.Step{Arrived: time.Now()}, client); got != nil {
		t.Errorf("got %v", got)
	}
	j.Swap(judge.NewChain(judge.Options{}))
	if !isDrained(chain) || len(client) > 0 {
		t.Errorf("it has left something behind: drained %t, %d judgements", isDrained(chain), len(client))
	}
}

// A fragile group's Names panics once the group has been asked.
type fragile struct {
	*starter
	broken atomic.Bool
}

func (f *fragile) Names() []string {
	if f.broken.Load() {
		panic("no names")
	}
	return f.starter.Names()
}

func (f *fragile) Start(bound judge.Bound, call judge.Call, to judge.Receiver, index int) {
	f.broken.Store(true)
	f.starter.Start(bound, call, to, index)
}

// TestPanicInAMerge costs the step its verdict: the session's memory stays, and the chain is
// not held for ever.
func TestPanicInAMerge(t *testing.T) {
	t.Parallel()
	memory := judgeBy(t, judge.Options{}, nil, saying([]string{"a"}, pass("before"))).Memory
	f := &fragile{starter: &starter{stub: saying([]string{"a"}, pass("after")), start: atOnce}}
	chain := judge.NewChain(judge.Options{Generation: 7, Limits: limits}, f)
	j := judge.New(chain)
	client := make(judgements, 2)
	j.Start(t.Context(), new(judge.Pending), judge.Session{Memory: memory}, judge.Step{Arrived: time.Now()}, client)
	want := judge.Judgement{Outcome: validator.Undecided, Detail: "panic: no names", Memory: memory, Generation: 7}
	if got := client.one(t); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	j.Swap(judge.NewChain(judge.Options{}))
	if !isDrained(chain) {
		t.Error("the chain is held")
	}
}

// TestPanicInAStart is the caller's, and does not hold the chain either.
func TestPanicInAStart(t *testing.T) {
	t.Parallel()
	var given func()
	first := &starter{stub: saying([]string{"a"}, pass("")), start: func(s *starter, _ judge.Bound, call judge.Call, to judge.Receiver, index int) {
		given = func() { s.give(call, to, index) }
	}}
	second := &starter{stub: saying([]string{"b"}, pass("")), start: func(*starter, judge.Bound, judge.Call, judge.Receiver, int) {
		panic("cannot")
	}}
	chain := judge.NewChain(judge.Options{Limits: limits}, first, second)
	j := judge.New(chain)
	client := make(judgements, 1)
	func() {
		defer func() {
			if p := recover(); p != "cannot" {
				t.Errorf("recovered %v", p)
			}
		}()
		j.Start(t.Context(), new(judge.Pending), judge.Session{}, judge.Step{Arrived: time.Now()}, client)
	}()
	given()
	j.Swap(judge.NewChain(judge.Options{}))
	if !isDrained(chain) || len(client) > 0 {
		t.Errorf("drained %t, %d judgements", isDrained(chain), len(client))
	}
}

// TestStartedTimes says of each group how long it took since the step arrived.
func TestStartedTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		after := func(names []string, took, queued time.Duration) *starter {
			a := pass("")
			a.Queued = queued
			return &starter{stub: saying(names, slices.Repeat([]judge.Answer{a}, len(names))...),
				start: func(s *starter, _ judge.Bound, call judge.Call, to judge.Receiver, index int) {
					time.AfterFunc(took, func() { s.give(call, to, index) })
				}}
		}
		j := judge.New(judge.NewChain(judge.Options{Limits: limits, Timed: true},
			after([]string{"a", "b"}, 30*time.Millisecond, 20*time.Millisecond), after([]string{"c"}, 10*time.Millisecond, 0)))
		client, pending := make(judgements, 1), new(judge.Pending)
		for range 2 {
			j.Start(t.Context(), pending, judge.Session{}, judge.Step{Arrived: time.Now()}, client)
			time.Sleep(time.Second)
			want := []judge.GroupTime{
				{Names: []string{"a", "b"}, Queue: 20 * time.Millisecond, Took: 30 * time.Millisecond},
				{Names: []string{"c"}, Took: 10 * time.Millisecond},
			}
			if got := client.one(t); !reflect.DeepEqual(got.Groups, want) {
				t.Errorf("got %v, want %v", got.Groups, want)
			}
		}
		j.Swap(judge.NewChain(judge.Options{Limits: limits}))
		j.Start(t.Context(), pending, judge.Session{}, judge.Step{Arrived: time.Now()}, client)
		if got := client.one(t); got.Groups != nil {
			t.Errorf("by a chain that takes no times: got %v", got.Groups)
		}
	})
}

// TestStartedBound is what each group is given: the declared timeout counts from the arrival.
func TestStartedBound(t *testing.T) {
	t.Parallel()
	for name, test := range waits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				want := limits.Budget(test.timeout, 0)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				hangs := &starter{stub: hanging("a"), start: func(s *starter, b judge.Bound, call judge.Call, to judge.Receiver, index int) {
					if b.Limit != want || b.Parent != ctx {
						t.Errorf("bound to %v by %v, want %v", b.Limit, b.Parent, want)
					}
					go func() {
						ctx := b.Context()
						defer ctx.Release()
						to.Receive(index, s.Judge(ctx, call))
					}()
				}}
				j := judge.New(judge.NewChain(judge.Options{Limits: limits}, hangs))
				began := time.Now()
				client := make(judgements)
				j.Start(ctx, new(judge.Pending), judge.Session{}, judge.Step{Arrived: began, Step: validator.Step{Timeout: test.timeout}}, client)
				got := <-client
				if took := time.Since(began); took != want || got.Outcome != validator.Undecided {
					t.Errorf("%v after %v, want undecided after %v", got.Outcome, took, want)
				}
				if late := "no verdict within " + want.Round(time.Millisecond).String(); !strings.Contains(got.Detail, late) {
					t.Errorf("detail %q does not say %q", got.Detail, late)
				}
			})
		})
	}
}
