package judge_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/validator"
)

func isDrained(c *judge.Chain) bool {
	select {
	case <-c.Drained():
		return true
	default:
		return false
	}
}

// waiting has a step judged by Judge, trying by Try.
func waiting(t *testing.T, j *judge.Judge, session judge.Session, step judge.Step) judge.Judgement {
	return j.Judge(t.Context(), session, step)
}

func trying(t *testing.T, j *judge.Judge, session judge.Session, step judge.Step) judge.Judgement {
	t.Helper()
	judgement, ok := j.Try(session, step)
	if !ok {
		t.Error("Try says no")
	}
	return judgement
}

func TestSwap(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan struct{}), make(chan struct{})
	slow := &stub{names: []string{"a"}, answers: func(context.Context, judge.Call) []judge.Answer {
		close(asked)
		<-answer
		return []judge.Answer{pass("")}
	}}
	first := judge.NewChain(judge.Options{Generation: 1}, slow)
	second := judge.NewChain(judge.Options{Generation: 2}, saying([]string{"a"}, pass("")))
	j := judge.New(first)
	judged := make(chan judge.Judgement)
	go func() { judged <- j.Judge(context.Background(), judge.Session{}, judge.Step{}) }()
	<-asked

	if old := j.Swap(second); old != first || j.Chain() != second {
		t.Errorf("the swap returned generation %d, and %d is in force", old.Generation(), j.Chain().Generation())
	}
	if isDrained(first) {
		t.Error("drained while a step is being judged on it")
	}
	if got := j.Judge(t.Context(), judge.Session{}, judge.Step{}); got.Generation != 2 {
		t.Errorf("judged by generation %d after the swap, want 2", got.Generation)
	}
	close(answer)
	if got := <-judged; got.Generation != 1 {
		t.Errorf("judged by generation %d, want that on which it began", got.Generation)
	}
	<-first.Drained()
	if isDrained(second) {
		t.Error("drained while in force")
	}
}

// TestSwapWithinTry: the step finishes on the chain on which it began, which is held until then.
// The next one is judged by its successor.
func TestSwapWithinTry(t *testing.T) {
	t.Parallel()
	second := judge.NewChain(judge.Options{Generation: 2}, cached([]string{"a"}, pass("")))
	var j *judge.Judge
	var first *judge.Chain
	held := func(when string) {
		if isDrained(first) {
			t.Errorf("drained %s", when)
		}
	}
	swaps, notes := cached([]string{"a"}, pass("")), cached([]string{"b"}, pass(""))
	swaps.try = func(judge.Call) ([]judge.Answer, bool) {
		j.Swap(second)
		held("while a group is tried")
		return []judge.Answer{pass("")}, true
	}
	told := 0
	notes.tried = func(judge.Call, []judge.Answer) {
		held("before each group has been told")
		told++
	}
	first = judge.NewChain(judge.Options{Generation: 1}, swaps, notes)
	j = judge.New(first)
	for _, want := range []uint64{1, 2} {
		if got := trying(t, j, judge.Session{}, judge.Step{}); got.Generation != want {
			t.Errorf("judged by generation %d, want %d", got.Generation, want)
		}
		if !isDrained(first) {
			t.Error("not drained though its last step has been judged")
		}
	}
	if told != 1 {
		t.Errorf("told of %d steps, want 1", told)
	}
	if isDrained(second) {
		t.Error("drained while in force")
	}
}

// TestSwapUnderLoad swaps chains while many goroutines judge, half of them by Try. A chain
// that is drained is closed at once, as its process would be, and must not be asked again.
func TestSwapUnderLoad(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	const clients, stepsEach, swaps = 32, 300, 200
	var answered atomic.Int64
	link := func(generation uint64) (*judge.Chain, *atomic.Bool) {
		closed := new(atomic.Bool)
		part := func(name string) *stub {
			answer := func() []judge.Answer {
				if closed.Load() {
					t.Errorf("generation %d was asked after it had drained", generation)
				}
				answered.Add(1)
				return []judge.Answer{pass("")}
			}
			return &stub{
				names:   []string{name},
				answers: func(context.Context, judge.Call) []judge.Answer { return answer() },
				try:     func(judge.Call) ([]judge.Answer, bool) { return answer(), true },
				tried: func(judge.Call, []judge.Answer) {
					if closed.Load() {
						t.Errorf("generation %d was told of a step after it had drained", generation)
					}
				},
			}
		}
		return judge.NewChain(judge.Options{Generation: generation, Limits: limits}, part("a"), part("b")), closed
	}

	chain, closed := link(0)
	j := judge.New(chain)
	var judging sync.WaitGroup
	judgedBy := make([][]uint64, clients)
	for c := range clients {
		way := waiting
		if c%2 == 0 {
			way = trying
		}
		judging.Go(func() {
			for range stepsEach {
				got := way(t, j, judge.Session{}, judge.Step{})
				if got.Outcome != validator.Pass {
					t.Errorf("got %v: %s", got.Outcome, got.Detail)
				}
				judgedBy[c] = append(judgedBy[c], got.Generation)
			}
		})
	}
	for generation := range uint64(swaps) {
		next, nextClosed := link(generation + 1)
		old := j.Swap(next)
		<-old.Drained()
		closed.Store(true)
		closed = nextClosed
	}
	judging.Wait()

	if got, want := answered.Load(), int64(2*clients*stepsEach); got != want {
		t.Errorf("%d answers, want %d", got, want)
	}
	for c, generations := range judgedBy {
		if !slices.IsSorted(generations) {
			t.Errorf("client %d was judged by an older chain after a newer one", c)
		}
	}
	if isDrained(j.Chain()) {
		t.Error("the chain in force is drained")
	}
}
