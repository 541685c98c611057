package judge_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/validator"
)

var limits = judge.Limits{Floor: time.Second, Cap: 30 * time.Second}

func declared(d time.Duration) validator.Wait { return validator.Wait{Duration: d, Declared: true} }

// waits are how long a step that hangs is judged.
var waits = map[string]struct {
	timeout validator.Wait
	ago     time.Duration // since the step arrived
	want    time.Duration
}{
	"the declared timeout, less a tenth": {declared(3 * time.Second), 0, 2700 * time.Millisecond},
	"less half a second at most":         {declared(20 * time.Second), 0, 19500 * time.Millisecond},
	"counted from the arrival":           {declared(3 * time.Second), 500 * time.Millisecond, 2200 * time.Millisecond},
	"never less than the floor":          {declared(10 * time.Millisecond), 0, time.Second},
	"the floor, whatever has gone":       {declared(3 * time.Second), time.Hour, time.Second},
	"a timeout of 0 is declared":         {declared(0), 0, time.Second},
	"just above the floor":               {declared(2*time.Second + 10), 500*time.Millisecond + 299999999 + 9, time.Second + 1},
	"never more than the cap":            {declared(time.Hour), 0, 30 * time.Second},
	"the cap counts from arrival":        {declared(time.Hour), 12 * time.Second, 18 * time.Second},
	"none declared means the cap":        {validator.Wait{}, 0, 30 * time.Second},
	"none declared, after a while":       {validator.Wait{}, 20 * time.Second, 10 * time.Second},
	"the longest that can be":            {declared(1<<63 - 1), time.Hour, time.Second},
	"less left than the floor":           {declared(5 * time.Second), 4500 * time.Millisecond, time.Second},
	"exactly the floor left":             {declared(5 * time.Second), 3500 * time.Millisecond, time.Second},
	"a moment more than the floor":       {declared(5 * time.Second), 3500*time.Millisecond - 1, time.Second + 1},
	"not declared, yet some length":      {validator.Wait{Duration: 2 * time.Second}, 0, 30 * time.Second},
}

func TestBudget(t *testing.T) {
	t.Parallel()
	for name, test := range waits {
		if got := limits.Budget(test.timeout, test.ago); got != test.want {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}

// hanging is a group that answers only when it must.
func hanging(names ...string) *stub {
	return &stub{names: names, answers: func(ctx context.Context, _ judge.Call) []judge.Answer {
		<-ctx.Done()
		answers := make([]judge.Answer, len(names))
		for i := range answers {
			answers[i] = judge.Answer{Err: context.Cause(ctx)}
		}
		return answers
	}}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	for name, test := range waits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := judge.New(judge.NewChain(judge.Options{Limits: limits}, saying([]string{"a"}, pass("")), hanging("b")))
				began := time.Now()
				got := j.Judge(t.Context(), judge.Session{}, judge.Step{
					Arrived: began.Add(-test.ago), Step: validator.Step{Timeout: test.timeout},
				})
				if took := time.Since(began); took != test.want {
					t.Errorf("took %v, want %v", took, test.want)
				}
				if got.Outcome != validator.Undecided || got.By != "b" {
					t.Errorf("got %v by %q, want undecided by b", got.Outcome, got.By)
				}
				if want := "no verdict within " + test.want.Round(time.Millisecond).String(); !strings.Contains(got.Detail, want) {
					t.Errorf("detail %q does not say %q", got.Detail, want)
				}
			})
		})
	}
}

func TestFailCountsThoughAnotherHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := judge.New(judge.NewChain(judge.Options{Limits: limits},
			hanging("a"), saying([]string{"b"}, fail(validator.OutOfOrder, "no", ""))))
		if got := j.Judge(t.Context(), judge.Session{}, judge.Step{Arrived: time.Now()}); got.Outcome != validator.Fail {
			t.Errorf("got %v, want fail", got.Outcome)
		}
	})
}

func TestCallerEndsSooner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		j := judge.New(judge.NewChain(judge.Options{Limits: limits}, hanging("a"), hanging("b")))
		began := time.Now()
		got := j.Judge(ctx, judge.Session{}, judge.Step{Arrived: began})
		if took := time.Since(began); took != 100*time.Millisecond || got.Outcome != validator.Undecided {
			t.Errorf("took %v and was %v", took, got.Outcome)
		}
	})
}

// TestGroupsAreAskedAtOnce: no group answers before each has been asked.
func TestGroupsAreAskedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const groups = 4
		var asked sync.WaitGroup
		asked.Add(groups)
		var chain []judge.Group
		for n := range groups {
			chain = append(chain, &stub{names: []string{string(rune('a' + n))},
				answers: func(context.Context, judge.Call) []judge.Answer {
					asked.Done()
					asked.Wait() // a deadlock, which the bubble reports, unless the others are asked too
					return []judge.Answer{pass("")}
				}})
		}
		if got := judgeBy(t, judge.Options{Limits: limits}, nil, chain...); got.Outcome != validator.Pass {
			t.Errorf("got %+v", got)
		}
	})
}
