package judge_test

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/validator"
)

// TestTryIsJudge compares Try with Judge for any verdicts: where every group has cached its answers
// the judgements are equal, and where one has not, nothing has been done.
func TestTryIsJudge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			var memory judge.Memory
			for position := range rapid.IntRange(1, 4).Draw(t, "steps") {
				c := drawCase(t)
				session := judge.Session{ID: "s", Position: position, Steps: 10, Memory: memory}
				want := c.judgement(t, session)
				got, ok := c.tryOn(t, session)
				if ok != c.allCached() {
					t.Fatalf("Try says %t, cached %t", ok, c.allCached())
				}
				if ok && !reflect.DeepEqual(got, want) {
					t.Fatalf("Judge: %+v\nTry:   %+v", want, got)
				}
				if !ok && !reflect.DeepEqual(got, judge.Judgement{}) {
					t.Fatalf("Try says no and %+v", got)
				}
				memory = want.Memory
			}
		})
	})
}

// A tryCase is one step and the chain that judges it.
type tryCase struct {
	options judge.Options
	step    judge.Step
	groups  []*tried
}

// A tried group keeps what it is asked.
type tried struct {
	stub
	cached bool
	events *[]string
	asked  judge.Call     // by Try
	given  []judge.Answer // by Try
	before []judge.Answer // a copy of that
}

func drawCase(t *rapid.T) *tryCase {
	c := &tryCase{
		options: judge.Options{
			Generation: rapid.Uint64().Draw(t, "generation"), Limits: limits,
			AllowFaults: rapid.Bool().Draw(t, "faults allowed"), Timed: rapid.Bool().Draw(t, "timed"),
		},
		step: judge.Step{
			Arrived: time.Now(), Step: validator.Step{ID: rapid.Int64().Draw(t, "step_id")},
			Fresh: rapid.Bool().Draw(t, "fresh"),
		},
	}
	names := rapid.Permutation([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "names")
	for range rapid.IntRange(1, 3).Draw(t, "groups") {
		n := rapid.IntRange(1, 2).Draw(t, "validators")
		c.groups = append(c.groups, drawGroup(t, names[:n]))
		names = names[n:]
	}
	return c
}

func drawGroup(t *rapid.T, names []string) *tried {
	answers := rapid.SliceOfN(rapid.Custom(drawAnswer), len(names), len(names)).Draw(t, "answers")
	if rapid.IntRange(0, 9).Draw(t, "an answer too few") == 9 {
		answers = answers[:len(names)-1]
	}
	g := &tried{cached: rapid.IntRange(0, 3).Draw(t, "cached") < 3}
	g.names = names
	g.answers = func(_ context.Context, call judge.Call) []judge.Answer {
		all := slices.Clone(answers)
		for i := range all { // the answer depends on all that the group is told
			state := bytes.Clone(all[i].Verdict.State)
			all[i].Verdict.State = fmt.Append(state, call.Step.ID, call.Session, call.Fresh, call.States[i])
		}
		return all
	}
	return g
}

func drawAnswer(t *rapid.T) judge.Answer {
	a := rapid.SampledFrom([]judge.Answer{
		pass("p"), pass(""), fail(validator.OutOfOrder, "no", "f"),
		none("cannot tell"), {}, // which is undecided
		fail("no reason", "malformed", ""), faulty(pass(""), validator.FaultReset), faulty(pass(""), 99),
	}).Draw(t, "answer")
	a.Queued = time.Duration(rapid.IntRange(0, 2).Draw(t, "queued"))
	a.Kept = rapid.Bool().Draw(t, "kept")
	if rapid.Bool().Draw(t, "expecting") {
		a = expecting(a, rapid.Int64().Draw(t, "expects"))
	}
	return a
}

func (g *tried) Try(call *judge.Call) ([]judge.Answer, bool) {
	*g.events = append(*g.events, "try "+g.names[0])
	if !g.cached {
		return nil, false
	}
	g.asked = *call
	g.asked.States = slices.Clone(call.States) // the memory is the chain's
	g.given = g.answers(context.Background(), *call)
	g.before = slices.Clone(g.given)
	return g.given, true
}

func (g *tried) Tried(call *judge.Call, answers []judge.Answer) {
	told := "told " + g.names[0]
	if !reflect.DeepEqual(*call, g.asked) || !sameSlice(answers, g.given) {
		told = fmt.Sprintf("told %s of %+v: %+v, not what was tried", g.names[0], call, answers)
	}
	*g.events = append(*g.events, told)
}

// sameSlice reports whether both are the same memory.
func sameSlice(a, b []judge.Answer) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

func (c *tryCase) allCached() bool {
	return !slices.ContainsFunc(c.groups, func(g *tried) bool { return !g.cached })
}

func (c *tryCase) chain() *judge.Chain {
	var groups []judge.Group
	for _, g := range c.groups {
		groups = append(groups, g)
	}
	return judge.NewChain(c.options, groups...)
}

// judgement has the step judged by Judge.
func (c *tryCase) judgement(t *rapid.T, session judge.Session) judge.Judgement {
	return judge.New(c.chain()).Judge(t.Context(), session, c.step)
}

// tryOn has the step judged by Try, and looks at what each group was asked and told.
func (c *tryCase) tryOn(t *rapid.T, session judge.Session) (judge.Judgement, bool) {
	var events []string
	for _, g := range c.groups {
		g.events = &events
	}
	chain := c.chain()
	j := judge.New(chain)
	got, ok := j.Try(session, c.step)
	if diff := cmp.Diff(c.wantEvents(), events); diff != "" {
		t.Fatalf("want - got +\n%s", diff)
	}
	for _, g := range c.groups {
		if !reflect.DeepEqual(g.given, g.before) {
			t.Fatalf("the answers, which are shared, became %+v from %+v", g.given, g.before)
		}
	}
	j.Swap(judge.NewChain(judge.Options{}))
	if !isDrained(chain) {
		t.Fatal("the chain is held though nothing is being judged")
	}
	return got, ok
}

// wantEvents: each group is tried until one says no; each is told, once, when all have said yes.
func (c *tryCase) wantEvents() []string {
	var events []string
	for _, g := range c.groups {
		events = append(events, "try "+g.names[0])
		if !g.cached {
			return events
		}
	}
	for _, g := range c.groups {
		events = append(events, "told "+g.names[0])
	}
	return events
}

// TestTryWhereAGroupMustBeAsked says no, wherever in the chain that group is, and has told none.
func TestTryWhereAGroupMustBeAsked(t *testing.T) {
	t.Parallel()
	for at := range 3 {
		var groups []judge.Group
		for i := range 3 {
			g := cached([]string{string(rune('a' + i))}, pass(""))
			if i == at {
				g.try = nil
			}
			g.answers = func(context.Context, judge.Call) []judge.Answer {
				t.Error("a group was asked")
				return nil
			}
			g.tried = func(judge.Call, []judge.Answer) { t.Error("a group was told of a step") }
			groups = append(groups, g)
		}
		chain := judge.NewChain(judge.Options{Limits: limits, Timed: true}, groups...)
		j := judge.New(chain)
		got, ok := j.Try(judge.Session{}, judge.Step{Arrived: time.Now()})
		if ok || !reflect.DeepEqual(got, judge.Judgement{}) {
			t.Errorf("group %d has cached nothing: got %+v, %t", at, got, ok)
		}
		j.Swap(judge.NewChain(judge.Options{}))
		if !isDrained(chain) {
			t.Errorf("group %d has cached nothing: the chain is held", at)
		}
	}
}

func TestTryWithoutValidatorsPasses(t *testing.T) {
	t.Parallel()
	j := judge.New(judge.NewChain(judge.Options{Generation: 2}))
	got := trying(t, j, judge.Session{}, judge.Step{})
	if got.Outcome != validator.Pass || got.Generation != 2 {
		t.Errorf("got %+v", got)
	}
}

// A fragile group's Names panics.
type fragile struct{ *stub }

func (fragile) Names() []string { panic("cannot") }

// TestPanicWithinTry is the caller's. It does not hold the chain, and another step that is tried
// afterwards gets the answers that are its own.
func TestPanicWithinTry(t *testing.T) {
	t.Parallel()
	tries := cached([]string{"b"}, pass(""))
	tries.try = func(judge.Call) ([]judge.Answer, bool) { panic("cannot") }
	notes := cached([]string{"b"}, pass(""))
	notes.tried = func(judge.Call, []judge.Answer) { panic("cannot") }
	for name, broken := range map[string]judge.Group{
		"in Try": tries, "in Tried": notes, "in Names": fragile{cached([]string{"b"}, pass(""))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shy := cached([]string{"a"}, fail(validator.RuleBroken, "first", "s"))
			chain := judge.NewChain(judge.Options{Limits: limits}, shy, broken)
			j := judge.New(chain)
			for range 3 {
				mustPanic(t, "cannot", func() { j.Try(judge.Session{}, judge.Step{}) })
			}
			shy.try = nil // so the broken one is not reached
			if got, ok := j.Try(judge.Session{}, judge.Step{}); ok {
				t.Errorf("got %+v", got)
			}
			j.Swap(judge.NewChain(judge.Options{}))
			if !isDrained(chain) {
				t.Error("the chain is held")
			}
		})
	}
}

// TestTryAfterAPanic is answered as if there had been none.
func TestTryAfterAPanic(t *testing.T) {
	t.Parallel()
	broken := true
	first, second := cached([]string{"a"}, pass("a1")), cached([]string{"b"}, pass("b1"))
	second.try = func(judge.Call) ([]judge.Answer, bool) {
		if broken {
			panic("cannot")
		}
		return []judge.Answer{pass("b1")}, true
	}
	j := judge.New(judge.NewChain(judge.Options{Generation: 7}, first, second))
	mustPanic(t, "cannot", func() { j.Try(judge.Session{}, judge.Step{}) })
	broken = false
	got := trying(t, j, judge.Session{}, judge.Step{})
	want := map[string]string{"a": "a1", "b": "b1"}
	diff := cmp.Diff(want, remembered(t, got.Memory, "a", "b"))
	if diff != "" || got.Outcome != validator.Pass {
		t.Errorf("%v, want - got +\n%s", got.Outcome, diff)
	}
}

// TestPanicInAMerge of answers that were waited for does not hold the chain either.
func TestPanicInAMerge(t *testing.T) {
	t.Parallel()
	g := &fading{stub: cached([]string{"a"}, pass(""))}
	chain := judge.NewChain(judge.Options{Limits: limits}, g)
	j := judge.New(chain)
	step := judge.Step{Arrived: time.Now()}
	mustPanic(t, "no names", func() { j.Judge(t.Context(), judge.Session{}, step) })
	j.Swap(judge.NewChain(judge.Options{}))
	if !isDrained(chain) {
		t.Error("the chain is held")
	}
}

// A fading group's Names panics once the group has been asked.
type fading struct {
	*stub
	asked bool
}

func (f *fading) Names() []string {
	if f.asked {
		panic("no names")
	}
	return f.stub.Names()
}

func (f *fading) Judge(ctx context.Context, call judge.Call) []judge.Answer {
	f.asked = true
	return f.stub.Judge(ctx, call)
}

func mustPanic(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if p := recover(); p != want {
			t.Errorf("recovered %v, want %q", p, want)
		}
	}()
	f()
}

// TestTriedTimes: no time passes, and a group says that an answer of it had been kept.
func TestTriedTimes(t *testing.T) {
	t.Parallel()
	kept := func(a judge.Answer) judge.Answer {
		a.Kept = true
		return a
	}
	groups := []judge.Group{
		cached([]string{"a", "b"}, kept(pass("")), kept(pass(""))),
		cached([]string{"c"}, pass("")),
		cached([]string{"d"}, kept(fail(validator.RuleBroken, "", ""))),
	}
	want := []judge.GroupTime{
		{Names: []string{"a", "b"}, Kept: true},
		{Names: []string{"c"}},
		{Names: []string{"d"}, Kept: true},
	}
	for _, timed := range []bool{true, false} {
		j := judge.New(judge.NewChain(judge.Options{Limits: limits, Timed: timed}, groups...))
		for range 2 {
			step := judge.Step{Arrived: time.Now().Add(-time.Second)}
			got := trying(t, j, judge.Session{}, step).Groups
			if timed {
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("want - got +\n%s", diff)
				}
			} else if got != nil {
				t.Errorf("by a chain that takes no times: got %v", got)
			}
		}
	}
}

// TestTryByMany at once: each session has states of its own.
func TestTryByMany(t *testing.T) {
	t.Parallel()
	part := func(names ...string) judge.Group {
		return &stub{names: names, try: func(call judge.Call) ([]judge.Answer, bool) {
			var answers []judge.Answer
			for _, state := range call.States {
				answers = append(answers, pass(string(fmt.Append(bytes.Clone(state), call.Step.ID, ";"))))
			}
			return answers, true
		}}
	}
	j := judge.New(judge.NewChain(judge.Options{Limits: limits}, part("a", "b"), part("c")))
	var running sync.WaitGroup
	for id := range int64(16) {
		running.Go(func() {
			var memory judge.Memory
			want := ""
			for range 20 {
				step := judge.Step{Step: validator.Step{ID: id}}
				memory = trying(t, j, judge.Session{Memory: memory}, step).Memory
				want += fmt.Sprint(id, ";")
			}
			states := remembered(t, memory, "a", "b", "c")
			all := map[string]string{"a": want, "b": want, "c": want}
			if diff := cmp.Diff(all, states); diff != "" {
				t.Errorf("session %d, want - got +\n%s", id, diff)
			}
		})
	}
	running.Wait()
}
