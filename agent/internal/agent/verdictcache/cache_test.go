package verdictcache_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/verdictcache"
	"github.com/stepagent/stepagent/plugins/validator"
)

const mebibyte = 1 << 20

// A group says what its function says, and counts how often it is asked.
type group struct {
	says         func(call judge.Call) []judge.Answer
	asked, again atomic.Int64
}

func (g *group) Names() []string            { return []string{"a"} }
func (g *group) First() []judge.Expectation { return []judge.Expectation{{StepID: 1, Known: true}} }

func (g *group) Judge(_ context.Context, call judge.Call) []judge.Answer {
	g.asked.Add(1)
	return g.says(call)
}

func (g *group) Again(_ context.Context, call judge.Call) ([]judge.Answer, error) {
	g.again.Add(1)
	return g.says(call), nil
}

func passing(state string) []judge.Answer {
	return []judge.Answer{{Verdict: validator.PassWith([]byte(state)), Queued: time.Second}}
}

// byStep is the key of validators that read the step id.
func byStep(dst []byte, call *judge.Call) []byte {
	return fmt.Appendf(dst, "%d/%q", call.Step.ID, call.States)
}

func step(id int64) judge.Call {
	return judge.Call{Step: validator.Step{ID: id}, States: [][]byte{nil}}
}

func newCache(g *group, o verdictcache.Options) *verdictcache.Cache {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := verdictcache.New(g, o)
	c.Reset(byStep)
	return c
}

// judged judges a step as a chain does: from the cache, if that has the answer.
func judged(t testing.TB, c *verdictcache.Cache, call judge.Call) []judge.Answer {
	t.Helper()
	if answers, ok := c.Try(&call); ok {
		c.Tried(&call, answers)
		return answers
	}
	return c.Judge(t.Context(), call)
}

func TestAnswersOnceForTheSameKey(t *testing.T) {
	g := &group{says: func(call judge.Call) []judge.Answer { return passing(fmt.Sprint(call.Step.ID)) }}
	c := newCache(g, verdictcache.Options{Bytes: mebibyte})
	for n := range 30 {
		id := int64(n % 3)
		got := judged(t, c, step(id))
		if string(got[0].Verdict.State) != fmt.Sprint(id) || got[0].Kept != (n >= 3) {
			t.Errorf("step %d, asked %d: %+v", id, n, got)
		}
		if got[0].Kept && got[0].Queued != 0 {
			t.Errorf("a kept verdict waited for %v", got[0].Queued)
		}
	}
	s := c.Status()
	if g.asked.Load() != 3 || s.Hits != 27 || s.Misses != 3 || s.Entries != 3 || s.Bytes < 3 || !s.Keeping {
		t.Errorf("asked %d times, %+v", g.asked.Load(), s)
	}
}

// TestTryCountsNothing, and finds nothing that has not been judged.
func TestTryCountsNothing(t *testing.T) {
	g := &group{says: func(judge.Call) []judge.Answer { return passing("") }}
	c := newCache(g, verdictcache.Options{Bytes: mebibyte, RecheckEvery: 1})
	for range 5 {
		if _, ok := c.Try(new(step(1))); ok {
			t.Fatal("a verdict that was never given")
		}
	}
	c.Judge(t.Context(), step(1))
	for range 5 {
		if _, ok := c.Try(new(step(1))); !ok {
			t.Fatal("the verdict is not cached")
		}
	}
	c.Close()
	if s := c.Status(); s.Hits != 0 || s.Misses != 1 || g.again.Load() != 0 {
		t.Errorf("judged again %d times, %+v", g.again.Load(), s)
	}
}

// What is no verdict, or one that asks for a fault, is asked for each time.
func TestNotKept(t *testing.T) {
	pass := judge.Answer{Verdict: validator.PassWith(nil)}
	faulty := judge.Answer{Verdict: validator.Verdict{Outcome: validator.Pass, Fault: &validator.Fault{Kind: validator.FaultReset}}}
	for name, answers := range map[string][]judge.Answer{
		"an error":            {{Err: errors.New("no")}},
		"one error of two":    {pass, {Err: errors.New("no")}},
		"a fault":             {faulty},
		"one fault of two":    {pass, faulty},
		"no answer":           {},
		"larger than a share": {{Verdict: validator.PassWith(make([]byte, validator.MaxStateBytes))}},
	} {
		t.Run(name, func(t *testing.T) {
			g := &group{says: func(judge.Call) []judge.Answer { return answers }}
			c := newCache(g, verdictcache.Options{Bytes: 16 << 10})
			for range 5 {
				judged(t, c, step(1))
			}
			if g.asked.Load() != 5 || c.Status().Entries != 0 {
				t.Errorf("asked %d times, %+v", g.asked.Load(), c.Status())
			}
		})
	}
}

// Point 9: a step that wants a fresh verdict gets one, and leaves what is kept as it is.
func TestFreshIsAsked(t *testing.T) {
	g := &group{says: func(judge.Call) []judge.Answer { return passing("") }}
	c := newCache(g, verdictcache.Options{Bytes: mebibyte})
	fresh := step(1)
	fresh.Fresh = true
	for range 3 {
		judged(t, c, fresh)
	}
	if g.asked.Load() != 3 || c.Status().Entries != 0 {
		t.Errorf("asked %d times, %+v", g.asked.Load(), c.Status())
	}
	judged(t, c, step(1))
	judged(t, c, fresh)
	if g.asked.Load() != 5 {
		t.Errorf("a fresh step was answered from what is kept")
	}
}

func TestOff(t *testing.T) {
	for name, c := range map[string]struct {
		bytes int
		key   verdictcache.Key
	}{"no bytes": {0, byStep}, "no key": {mebibyte, nil}} {
		g := &group{says: func(judge.Call) []judge.Answer { return passing("") }}
		cache := verdictcache.New(g, verdictcache.Options{Bytes: c.bytes})
		cache.Reset(c.key)
		for range 3 {
			judged(t, cache, step(1))
		}
		if s := cache.Status(); g.asked.Load() != 3 || s != (verdictcache.Status{}) {
			t.Errorf("%s: asked %d times, %+v", name, g.asked.Load(), s)
		}
	}
}

// Point 7: what is kept belongs to validators that say the same. An answer that was asked for
// before they changed does not come to be with those of the next.
func TestResetDropsWhatIsKeptAndWhatIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		says, late := "old", make(chan struct{})
		g := &group{says: func(call judge.Call) []judge.Answer {
			said := says
			if call.Step.ID == 2 && said == "old" {
				<-late
			}
			return passing(said)
		}}
		c := newCache(g, verdictcache.Options{Bytes: mebibyte})
		judged(t, c, step(1))
		var waiting sync.WaitGroup
		waiting.Go(func() { judged(t, c, step(2)) })
		synctest.Wait()
		says = "new"
		c.Reset(byStep)
		close(late)
		waiting.Wait()
		for _, id := range []int64{1, 2} {
			if got := judged(t, c, step(id)); string(got[0].Verdict.State) != "new" {
				t.Errorf("step %d: %s", id, got[0].Verdict.State)
			}
		}
	})
}

// Clients choose the keys. Whatever they send, no more is kept than may be, and what is asked for
// often stays.
func TestNeitherGrownNorFlushed(t *testing.T) {
	const limit = 256 << 10
	g := &group{says: func(call judge.Call) []judge.Answer { return passing(strings.Repeat("x", int(call.Step.ID%100))) }}
	c := newCache(g, verdictcache.Options{Bytes: limit})
	procedure := func() (hits int) {
		for id := range int64(10) {
			if judged(t, c, step(id))[0].Kept {
				hits++
			}
		}
		return hits
	}
	for range 20 {
		procedure()
	}
	const flood = 200_000 // some hundred times what fits
	for n := range int64(flood) {
		call := step(1000 + n)
		if n%3 == 0 { // with something that each client keeps in its state
			call.States = [][]byte{fmt.Append(nil, n)}
		}
		judged(t, c, call)
		if n%1000 == 0 && c.Status().Bytes > limit {
			t.Fatalf("after %d: %+v", n, c.Status())
		}
	}
	if hits := procedure(); hits < 10 {
		t.Errorf("%d of 10 verdicts are left, %+v", hits, c.Status())
	}
}

// TestBytesAreWhatIsTaken holds the sum of the entries to what they take of the heap.
func TestBytesAreWhatIsTaken(t *testing.T) {
	const limit = 8 * mebibyte
	for _, size := range []int{0, 100, 2000} {
		g := &group{says: func(judge.Call) []judge.Answer { return passing(strings.Repeat("x", size)) }}
		c := newCache(g, verdictcache.Options{Bytes: limit})
		before := heap()
		for n := int64(0); c.Status().Bytes < limit*9/10; n++ {
			judged(t, c, step(n/2)) // twice each, so that all of it is filled
		}
		s := c.Status()
		if took := heap() - before; took > int64(s.Bytes) {
			t.Errorf("with states of %d bytes %d entries take %d bytes, %d are counted", size, s.Entries, took, s.Bytes)
		}
		runtime.KeepAlive(c)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what pools held is gone after the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Point 8: a validator that says something else is found by the sample, what was kept of it is
// dropped, and nothing more is kept, whatever comes.
func TestImpureValidatorIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		slip := "slip"
		g := &group{says: func(judge.Call) []judge.Answer {
			said := slip
			slip = "true"
			return passing(said)
		}}
		c := newCache(g, verdictcache.Options{Bytes: mebibyte, RecheckEvery: 8, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		frozen := 0
		for range 100 {
			if string(judged(t, c, step(1))[0].Verdict.State) == "slip" {
				frozen++
			}
			synctest.Wait()
		}
		if frozen != 9 { // the first, and the hits up to the eighth
			t.Errorf("the slip was given %d times", frozen)
		}
		s := c.Status()
		if s.Keeping || s.Entries != 0 || s.Differing != 1 || s.Hits != 8 {
			t.Errorf("%+v", s)
		}
		if lines := strings.Count(log.String(), "a validator gave two verdicts for one step"); lines != 1 {
			t.Errorf("%d lines:\n%s", lines, log.String())
		}
		c.Reset(byStep)
		judged(t, c, step(1))
		judged(t, c, step(1))
		if c.Status().Keeping || c.Status().Hits != 8 {
			t.Errorf("verdicts are kept again: %+v", c.Status())
		}
	})
}

// What differs in any part is found: the verdict as a whole, and what must come next.
func TestWhatCountsAsAnotherVerdict(t *testing.T) {
	base := judge.Answer{Verdict: validator.FailWith(validator.RuleBroken, "d", []byte("s")), Expects: judge.Expectation{StepID: 2, Known: true}}
	for name, change := range map[string]func(*judge.Answer){
		"outcome": func(a *judge.Answer) { a.Verdict = validator.PassWith([]byte("s")) },
		"reason":  func(a *judge.Answer) { a.Verdict.Reason = validator.OutOfOrder },
		"detail":  func(a *judge.Answer) { a.Verdict.Detail = "e" },
		"state":   func(a *judge.Answer) { a.Verdict.State = []byte("t") },
		"fault":   func(a *judge.Answer) { a.Verdict.Fault = &validator.Fault{Kind: validator.FaultReset} },
		"expects": func(a *judge.Answer) { a.Expects.StepID = 3 },
		"":        func(*judge.Answer) {},
		" error":  func(a *judge.Answer) { *a = judge.Answer{Err: errors.New("no time")} },
		" queued": func(a *judge.Answer) { a.Queued = time.Hour },
	} {
		synctest.Test(t, func(t *testing.T) {
			first := true
			g := &group{says: func(judge.Call) []judge.Answer {
				a := base
				if !first {
					change(&a)
				}
				first = false
				return []judge.Answer{a}
			}}
			c := newCache(g, verdictcache.Options{Bytes: mebibyte, RecheckEvery: 1})
			judged(t, c, step(1))
			judged(t, c, step(1))
			synctest.Wait()
			if got, want := c.Status().Differing > 0, strings.TrimSpace(name) == name && name != ""; got != want {
				t.Errorf("%q: found %t", name, got)
			}
		})
	}
}

// A sample of the steps that the validators were asked about is judged twice as well.
func TestShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		g := &group{says: func(judge.Call) []judge.Answer { n++; return passing(fmt.Sprint(n)) }}
		c := newCache(g, verdictcache.Options{ShadowEvery: 4})
		for id := range int64(12) {
			judged(t, c, step(id))
			synctest.Wait()
		}
		if g.again.Load() != 3 || c.Status().Differing != 3 {
			t.Errorf("judged again %d times, %+v", g.again.Load(), c.Status())
		}
	})
}

// A verdict of one program is not held against the next.
func TestRecheckAcrossAReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		says, again := "old", make(chan struct{})
		g := &group{}
		g.says = func(judge.Call) []judge.Answer {
			if g.again.Load() > 0 {
				<-again
			}
			return passing(says)
		}
		c := newCache(g, verdictcache.Options{Bytes: mebibyte, RecheckEvery: 1})
		judged(t, c, step(1))
		judged(t, c, step(1))
		synctest.Wait()
		c.Reset(byStep)
		says = "new"
		close(again)
		synctest.Wait()
		if s := c.Status(); s.Differing != 0 || !s.Keeping {
			t.Errorf("%+v", s)
		}
	})
}

// Point 6: what is kept is shared, and the callers do not get to it.
func TestKeptAnswersAreNotTheCallers(t *testing.T) {
	g := &group{says: func(judge.Call) []judge.Answer { return passing("") }}
	c := newCache(g, verdictcache.Options{Bytes: mebibyte})
	c.Judge(t.Context(), step(1))[0].Err = errors.New("spoilt")
	if got := judged(t, c, step(1)); got[0].Err != nil {
		t.Errorf("got %+v", got)
	}
}

// TestCloseWaits for the steps that are judged again, and begins none after that.
func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &group{}
		g.says = func(judge.Call) []judge.Answer {
			if g.again.Load() > 0 {
				time.Sleep(time.Second)
			}
			return passing("")
		}
		c := newCache(g, verdictcache.Options{Bytes: mebibyte, RecheckEvery: 1})
		for range 200 { // more than may run
			judged(t, c, step(1))
		}
		began := time.Now()
		c.Close()
		if took := time.Since(began); took != time.Second || g.again.Load() >= 199 {
			t.Errorf("%d were judged again, the close took %v", g.again.Load(), took)
		}
		before := g.again.Load()
		judged(t, c, step(1))
		synctest.Wait()
		if g.again.Load() != before {
			t.Error("judged again after the close")
		}
	})
}

// TestAsTheGroup: with any steps in any order, from many goroutines, the answers are those of the
// group, while verdicts are kept, dropped and replaced.
func TestAsTheGroup(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := &group{says: func(call judge.Call) []judge.Answer {
			return passing(fmt.Sprintf("%d after %s", call.Step.ID, call.States[0]))
		}}
		c := newCache(g, verdictcache.Options{Bytes: rapid.SampledFrom([]int{0, 8 << 10, mebibyte}).Draw(rt, "bytes"),
			RecheckEvery: 3, ShadowEvery: 5})
		ids := rapid.SliceOfN(rapid.Int64Range(0, 40), 1, 200).Draw(rt, "ids")
		var clients sync.WaitGroup
		for n := range 4 {
			clients.Go(func() {
				for i, id := range ids {
					call := step(id)
					call.States[0] = fmt.Append(nil, i%3)
					got := judged(t, c, call)
					if diff := cmp.Diff(g.says(call)[0].Verdict, got[0].Verdict); diff != "" {
						t.Error(diff)
					}
					if n == 0 && i%20 == 19 {
						c.Reset(byStep)
					}
				}
			})
		}
		clients.Wait()
		c.Close()
		if s := c.Status(); s.Differing != 0 {
			rt.Fatalf("%+v", s)
		}
	})
}
