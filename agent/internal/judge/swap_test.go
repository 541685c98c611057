package judge_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/stepagent/stepagent/agent/internal/judge"
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

// TestSwapUnderLoad swaps chains while many goroutines judge. A chain that is drained is
// closed at once, as its process would be, and must not be asked again.
func TestSwapUnderLoad(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	const clients, stepsEach, swaps = 32, 300, 200
	var answered atomic.Int64
	link := func(generation uint64) (*judge.Chain, *atomic.Bool) {
		closed := new(atomic.Bool)
		part := func(name string) *stub {
			return &stub{names: []string{name}, answers: func(context.Context, judge.Call) []judge.Answer {
				if closed.Load() {
					t.Errorf("generation %d was asked after it had drained", generation)
				}
				answered.Add(1)
				return []judge.Answer{pass("")}
			}}
		}
		return judge.NewChain(judge.Options{Generation: generation, Limits: limits}, part("a"), part("b")), closed
	}

	chain, closed := link(0)
	j := judge.New(chain)
	var judging sync.WaitGroup
	judgedBy := make([][]uint64, clients)
	for c := range clients {
		judging.Go(func() {
			for range stepsEach {
				got := j.Judge(t.Context(), judge.Session{}, judge.Step{})
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
