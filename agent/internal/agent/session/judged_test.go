package session_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// told keeps what validators are told of a step, in its verdict's detail.
type told struct{}

func (told) Validate(_ context.Context, s validator.Session, st validator.Step) (validator.Verdict, error) {
	detail := fmt.Sprintf("%s%d/%d: step %d, timeout %v, interval %v, at %v, gap %v, data %s",
		s.ID, s.Position, s.Steps, st.ID, st.Timeout, st.Interval, st.At, st.Gap, st.Data)
	return validator.FailWith(validator.RuleBroken, detail, nil), nil
}

// TestValidatorInput: all but the session's name.
func TestValidatorInput(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := judge.New(judge.NewChain(judge.Options{Limits: judge.Limits{Cap: time.Second}},
			tried{judge.Local(judge.Member{Name: "told", Validator: told{}}), 0, something}))
		a := &agent{TB: t, Manager: session.NewManager(j, options, slog.New(&lines{}))}
		c := a.connect(here)
		defer c.Close()
		var got []string
		send := func(req protocol.Request) { got = append(got, do(c, req).Reply.Detail) }
		send(named("a", 5))
		time.Sleep(1500 * time.Millisecond)
		send(every(2*time.Second, named("a", 6)))
		time.Sleep(2 * time.Second)
		send(protocol.Request{Session: "a", StepID: -1, Data: json.RawMessage(`{"volt":12}`)})
		send(step(1))
		want := []string{
			"0/10: step 5, timeout {5s true}, interval {0s false}, at 0s, gap {0s false}, data ",
			"1/10: step 6, timeout {5s true}, interval {2s true}, at 1.5s, gap {1.5s true}, data ",
			`2/10: step -1, timeout {0s false}, interval {0s false}, at 3.5s, gap {2s true}, data {"volt":12}`,
			"0/10: step 1, timeout {5s true}, interval {0s false}, at 0s, gap {0s false}, data ",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("want - got +\n%s", diff)
		}
	})
}

// exclusive is a validator that counts how many steps with the same data, which are those of one
// session, are judged at once. Steps with an odd id take their time.
type exclusive struct {
	at    sync.Map // data to *atomic.Int32
	worst atomic.Int32
}

func (e *exclusive) Validate(
	_ context.Context, s validator.Session, step validator.Step,
) (validator.Verdict, error) {
	v, _ := e.at.LoadOrStore(string(step.Data), new(atomic.Int32))
	n := v.(*atomic.Int32)
	e.worst.Store(max(e.worst.Load(), n.Add(1)))
	if step.ID%2 != 0 {
		time.Sleep(time.Millisecond)
	}
	n.Add(-1)
	return validator.FailWith(validator.RuleBroken, fmt.Sprint(s.Position), nil), nil
}

// quick has cached the answers to the steps that exclusive takes no time for.
func quick(step validator.Step, _ int) bool { return step.ID%2 == 0 }

// TestStepsOfOneSessionAreJudgedOneByOne, whichever connections they come over, and those of
// others at the same time.
func TestStepsOfOneSessionAreJudgedOneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const connections, stepsEach, slowEach, sessions = 8, 5, 2, 3
		o := options
		o.Steps = connections * stepsEach
		e := &exclusive{}
		j := judge.New(judge.NewChain(judge.Options{Limits: judge.Limits{Cap: time.Minute}},
			tried{judge.Local(judge.Member{Name: "exclusive", Validator: e}), 0, quick}))
		a := &agent{TB: t, Manager: session.NewManager(j, o, slog.New(&lines{}))}

		var mu sync.Mutex
		positions := map[string]int{} // "session position" to how often
		var running sync.WaitGroup
		began := time.Now()
		for range connections {
			for s := range sessions {
				running.Go(func() {
					c := a.connect(here)
					defer c.Close()
					for id := range int64(stepsEach) {
						req := named(fmt.Sprint(s), id)
						req.Data = fmt.Append(nil, s)
						answer := do(c, req)
						mu.Lock()
						positions[fmt.Sprint(s, " ", answer.Reply.Detail)]++
						mu.Unlock()
					}
				})
			}
		}
		running.Wait()
		if took := time.Since(began); took != connections*slowEach*time.Millisecond {
			t.Errorf("took %v, want that of one session", took)
		}
		if worst := e.worst.Load(); worst != 1 {
			t.Errorf("%d steps of one session were judged at once", worst)
		}
		if len(positions) != sessions*o.Steps {
			t.Errorf("%d positions were judged, want %d", len(positions), sessions*o.Steps)
		}
		if got := a.Stats(); got.Completed != sessions {
			t.Errorf("got %+v", got)
		}
		a.check()
		a.expire()
	})
}
