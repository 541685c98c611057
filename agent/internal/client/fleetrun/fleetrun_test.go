package fleetrun_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/client/boards"
	"github.com/stepagent/stepagent/agent/internal/client/fleetrun"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// A plan is what the run against a board does on virtual time.
type plan struct {
	takes   time.Duration
	verdict record.Verdict
	fails   time.Duration // from its beginning, when it calls CannotPass; 0 for never
}

// A course is what has happened.
type course struct {
	mu      sync.Mutex
	now     int // runs that go on
	most    int
	began   []int         // indexes, in the order of their beginning
	causes  map[int]error // why a run was stopped
	dead    map[int]bool  // stopped before they began
	stopped []string      // the calls of OnStop
	ended   map[int]time.Duration
}

// perform performs the plans.
func perform(ctx context.Context, plans []plan, jobs int, failFast bool) (*course, []fleetrun.Result) {
	c := &course{causes: map[int]error{}, dead: map[int]bool{}, ended: map[int]time.Duration{}}
	start := time.Now()
	list := make([]boards.Board, len(plans))
	for i := range list {
		list[i] = boards.Board{Name: fmt.Sprintf("b%d", i), Address: fmt.Sprintf("b%d:1", i)}
	}
	return c, fleetrun.Run(ctx, fleetrun.Options{Boards: list, Jobs: jobs, FailFast: failFast,
		OnStop: func(by boards.Board) { c.stopped = append(c.stopped, by.Name) },
		Perform: func(ctx context.Context, part *fleetrun.Part) (record.Run, error) {
			c.mu.Lock()
			c.now++
			c.most = max(c.most, c.now)
			c.began = append(c.began, part.Index)
			c.dead[part.Index] = ctx.Err() != nil
			c.mu.Unlock()
			run, err := plans[part.Index].run(ctx, part)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.now--
			c.ended[part.Index] = time.Since(start)
			if ctx.Err() != nil {
				c.causes[part.Index] = context.Cause(ctx)
			}
			return run, err
		},
	})
}

// errLost is the error of the runs with an odd index.
var errLost = errors.New("evidence is lost")

func (p plan) run(ctx context.Context, part *fleetrun.Part) (record.Run, error) {
	run := record.Run{Verdict: p.verdict, Cause: record.Finished, Steps: make([]record.StepResult, 3), Strays: make([]record.Event, 3),
		Start: record.Start{Address: part.Address, Procedure: record.Procedure{Name: "p", Steps: make([]record.Step, 3)}}}
	if p.fails > 0 {
		defer time.AfterFunc(p.fails, part.CannotPass).Stop()
	}
	select {
	case <-time.After(p.takes):
	case <-ctx.Done():
		run.Verdict, run.Cause = record.Undecided, record.Interrupted
	}
	if part.Index%2 == 1 {
		return run, errLost
	}
	return run, nil
}

// For any runs: each board is performed once, runs begin in order and no more at a time than there are
// jobs, results are in the order of the boards, and only a run that cannot pass stops others.
func TestRun(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plans := rapid.SliceOfN(rapid.Custom(drawPlan), 0, 30).Draw(rt, "plans")
		jobs := rapid.IntRange(0, 12).Draw(rt, "jobs")
		failFast := rapid.Bool().Draw(rt, "fail-fast")
		var c *course
		var results []fleetrun.Result
		synctest.Test(t, func(*testing.T) { c, results = perform(context.Background(), plans, jobs, failFast) })
		if len(results) != len(plans) || !inOrder(c.began, len(plans), jobs) {
			rt.Fatalf("%d boards gave %d results, begun as %v", len(plans), len(results), c.began)
		}
		if jobs > 0 && c.most > jobs {
			rt.Errorf("%d runs went on at the same time with %d jobs", c.most, jobs)
		}
		failed := slices.ContainsFunc(plans, func(p plan) bool { return p.verdict != record.Pass })
		if got := len(c.stopped); failFast && failed && got != 1 || got > 0 && (!failFast || !failed) {
			rt.Errorf("fail-fast %t: stopped by %v", failFast, c.stopped)
		}
		for i, result := range results {
			c.check(rt, i, result, plans[i])
		}
	})
}

func drawPlan(t *rapid.T) plan {
	p := plan{takes: time.Duration(rapid.IntRange(1, 50).Draw(t, "takes")) * time.Second, verdict: record.Pass}
	if rapid.IntRange(0, 4).Draw(t, "fails") == 0 {
		p.verdict = record.Fail
		p.fails = p.takes * time.Duration(rapid.IntRange(0, 4).Draw(t, "at")) / 4
	}
	return p
}

// check checks the result of one board.
func (c *course) check(t *rapid.T, i int, result fleetrun.Result, p plan) {
	cause := c.causes[i]
	if by, ok := errors.AsType[*fleetrun.StoppedError](cause); cause != nil && (!ok || by.By.Name != c.stopped[0] || by.By == result.Board) {
		t.Errorf("board %d was stopped with %v", i, cause)
	}
	switch run := result.Run; {
	case run.Cause == record.Interrupted && cause == nil:
		t.Errorf("board %d was interrupted without a cause", i)
	case run.Cause == record.Finished && run.Verdict != p.verdict:
		t.Errorf("board %d has the verdict %v, want %v", i, run.Verdict, p.verdict)
	case run.Steps != nil || run.Strays != nil || run.Start.Procedure.Steps != nil || run.Start.Procedure.Name != "p":
		t.Errorf("board %d keeps its steps", i)
	case (result.Err != nil) != (i%2 == 1) || result.Board.Name != fmt.Sprintf("b%d", i) || run.Start.Address != result.Board.Address:
		t.Errorf("board %d has the result %+v", i, result)
	}
}

// inOrder reports whether each of the boards began once, and in their order where one job performs them.
func inOrder(began []int, boards, jobs int) bool {
	if jobs == 1 && !slices.IsSorted(began) {
		return false
	}
	sorted := slices.Sorted(slices.Values(began))
	return len(sorted) == boards && len(slices.Compact(sorted)) == boards
}

// The run that cannot pass goes on to its end; the others stop when it is known, and those that have not
// begun never begin.
func TestFailFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plans := []plan{{takes: time.Hour, verdict: record.Pass}, {takes: 10 * time.Second, fails: 3 * time.Second, verdict: record.Fail}, {takes: 1, verdict: record.Pass}}
		c, results := perform(t.Context(), plans, 2, true)
		if c.ended[0] != 3*time.Second || c.ended[1] != 10*time.Second {
			t.Errorf("the runs ended after %v", c.ended)
		}
		if !c.dead[2] || c.dead[0] || c.dead[1] || results[1].Run.Verdict != record.Fail || results[2].Run.Cause != record.Interrupted {
			t.Errorf("stopped before they began: %v; results %+v", c.dead, results)
		}
		if got := c.causes[0].Error(); got != "stopped, because b1 cannot pass" {
			t.Errorf("the cause is %s", got)
		}
	})
}

// What ends the context stops all runs, and is no failure of one.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		plans := []plan{{takes: 1, verdict: record.Pass}, {takes: time.Hour, verdict: record.Pass}, {takes: time.Hour, verdict: record.Pass}}
		c, results := perform(ctx, plans, 2, true)
		if results[0].Run.Verdict != record.Pass || results[1].Run.Cause != record.Interrupted || results[2].Run.Cause != record.Interrupted {
			t.Errorf("the results are %+v", results)
		}
		if len(c.stopped) > 0 || !errors.Is(c.causes[1], context.DeadlineExceeded) {
			t.Errorf("stopped by %v, causes %v", c.stopped, c.causes)
		}
	})
}
