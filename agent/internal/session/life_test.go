package session_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/judge"
	"github.com/stepagent/stepagent/agent/internal/session"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

func TestCloseEndsAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, "advance", options)
		c := a.connect(here)
		a.want("1 ok", do(c, named("a", 1)))
		a.want("1 ok", do(c, step(1)))
		a.want("1 ok", a.once(here, step(1)))
		a.want("1 ok", a.once(here, named("b", 1)))
		for id := range int64(10) {
			do(c, named("rests", id+1))
		}
		slow := named("slow", 1)
		slow.Data = order{Takes: time.Second}.data()
		d := a.connect(there)
		judged := make(chan session.Answer, 1)
		go func() { judged <- do(d, slow) }()
		synctest.Wait()

		began := time.Now()
		a.Manager.Close()
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %v, want until the last step was judged", took)
		}
		a.want("1 ok", <-judged)
		if got := a.Leftovers(); got != "" {
			t.Errorf("there are still %s", got)
		}
		if got := a.Stats(); got.Incomplete != 5 || got.Completed != 1 || got.Open != 0 {
			t.Errorf("got %+v", got)
		}
		stopped := 0
		for _, line := range a.log.ends() {
			if strings.Contains(line.text, "verdict=incomplete") && strings.Contains(line.text, `cause=the agent stops`) {
				stopped++
			}
		}
		if stopped != 5 {
			t.Errorf("%d sessions were said to be stopped, want 5", stopped)
		}
		c.Close()
		d.Close()
		a.Manager.Close() // once more does no harm
		a.expire()
	})
}

// TestOneLineForEachSession holds what the log says, to the letter.
func TestOneLineForEachSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.Steps = 3
		a := newAgent(t, "advance", o)
		c := a.connect(here)
		began := time.Now()
		send := func(name string, id int64, o order) {
			req := named(name, id)
			req.Data = o.data()
			do(c, req)
			time.Sleep(500 * time.Millisecond)
		}
		for id := range int64(3) {
			send("passes", id+1, order{})
		}
		for _, id := range []int64{1, 100, 3} {
			send("fails", id, order{})
		}
		send("unsure", 1, order{})
		send("unsure", 2, order{Undecided: true})
		a.judge.Swap(chain(t, "advance", 2))
		send("unsure", 2, order{})
		send("unsure", 3, order{})
		send("delayed", 1, order{Delay: time.Second})
		send("delayed", 2, order{})
		send("delayed", 3, order{})
		send("", 1, order{})
		send("", 2, order{})
		c.Close()
		time.Sleep(options.ResumeWindow)
		synctest.Wait()

		var got []string
		for _, line := range a.log.ends() {
			if line.level != slog.LevelInfo {
				t.Errorf("level %v: %s", line.level, line.text)
			}
			got = append(got, fmt.Sprint(line.at.Sub(began), " ", line.text))
		}
		want := []string{
			"1s session ended session=passes verdict=pass steps=3 of=3 passed=3 failed=0 undecided=0 duration=1s validators=1",
			"2.5s session ended session=fails verdict=fail steps=3 of=3 passed=2 failed=1 undecided=0 duration=1s validators=1",
			"4.5s session ended session=unsure verdict=pass steps=3 of=3 passed=3 failed=0 undecided=1 duration=1.5s validators=1,2",
			"6s session ended session=delayed verdict=pass steps=3 of=3 passed=3 failed=0 undecided=0 duration=1s validators=2 faults=true",
			"20.5s session ended session=192.0.2.1:40001#1 verdict=incomplete steps=2 of=3 passed=2 failed=0 undecided=0 duration=14s validators=2 cause=no step for too long",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("want - got +\n%s", diff)
		}
		a.check()
		a.expire()
	})
}

func TestStepsAreLoggedByTheirOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, "advance", options)
		c := a.connect(here)
		defer c.Close()
		do(c, named("a", 1))
		do(c, named("a", 7))
		unsure := named("a", 3)
		unsure.Data = order{Undecided: true}.data()
		do(c, unsure)
		fault := named("a", 3)
		fault.Data = order{Delay: time.Second}.data()
		do(c, fault)

		var got []string
		for _, line := range a.log.kept {
			got = append(got, fmt.Sprint(line.level, " ", line.text))
		}
		want := []string{
			`DEBUG step passed session=a step_id=1 position=1 client=192.0.2.1:40001`,
			`WARN step failed session=a step_id=7 position=2 client=192.0.2.1:40001 reason=out_of_order validator=sequence detail=step 2 must come now, got 7`,
			`ERROR step undecided session=a step_id=3 position=2 client=192.0.2.1:40001 reason=validator_unavailable validator=obedient detail=validator obedient gave no verdict: told to be undecided`,
			`DEBUG step passed session=a step_id=3 position=3 client=192.0.2.1:40001 fault=delay`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("want - got +\n%s", diff)
		}
	})
}

// TestPanicReleasesTheTurn: the panic is the connection's to deal with. The session goes on,
// or has not begun if this was its first step.
func TestPanicReleasesTheTurn(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "bench-7"} {
		for _, before := range []int64{0, 1} {
			inBubble(t, func(a *agent) {
				c := a.connect(here)
				for id := range before {
					a.want(ok(id+1), do(c, named(name, id+1)))
				}
				broken := named(name, before+1)
				broken.Data = order{Panic: "a defect"}.data()
				func() {
					defer func() {
						if p := recover(); p != "a defect" {
							t.Errorf("recovered %v, want what the judge panicked with", p)
						}
					}()
					do(c, broken)
				}()
				if got := a.Stats().Open; int64(got) != before {
					t.Errorf("%d sessions open after the panic, want %d", got, before)
				}
				c.Close()
				a.want(ok(before+1), a.once(here, named(name, before+1)))
			})
		}
	}
}

// TestFaultIsAskedForOnce: with the answer, and not when the reply is given again.
func TestFaultIsAskedForOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c := a.connect(here)
		defer c.Close()
		req := request("a", 1, 1)
		req.Data = order{Delay: time.Second}.data()
		if got := do(c, req).Fault; got == nil || *got != (validator.Fault{Kind: validator.FaultDelay, Delay: time.Second}) {
			t.Errorf("got fault %+v", got)
		}
		if got := do(c, req); got.Fault != nil || !got.Replayed {
			t.Errorf("given again: got %+v", got)
		}
	})
}

// told keeps what validators are told of a step, in its verdict's detail.
type told struct{}

func (told) Validate(_ context.Context, s validator.Session, st validator.Step) (validator.Verdict, error) {
	detail := fmt.Sprintf("%s %d/%d: step %d, timeout %v, interval %v, at %v, gap %v, data %s",
		s.ID, s.Position, s.Steps, st.ID, st.Timeout, st.Interval, st.At, st.Gap, st.Data)
	return validator.FailWith(validator.RuleBroken, detail, nil), nil
}

func TestWhatValidatorsAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := judge.New(judge.NewChain(judge.Options{Limits: judge.Limits{Cap: time.Second}},
			judge.Local(judge.Member{Name: "told", Validator: told{}})))
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
			"a 0/10: step 5, timeout {5s true}, interval {0s false}, at 0s, gap {0s false}, data ",
			"a 1/10: step 6, timeout {5s true}, interval {2s true}, at 1.5s, gap {1.5s true}, data ",
			`a 2/10: step -1, timeout {0s false}, interval {0s false}, at 3.5s, gap {2s true}, data {"volt":12}`,
			"192.0.2.1:1#1 0/10: step 1, timeout {5s true}, interval {0s false}, at 0s, gap {0s false}, data ",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("want - got +\n%s", diff)
		}
	})
}

// exclusive is a validator that counts how many steps of one session are judged at once.
type exclusive struct {
	at    sync.Map // session ID to *atomic.Int32
	worst atomic.Int32
}

func (e *exclusive) Validate(_ context.Context, s validator.Session, _ validator.Step) (validator.Verdict, error) {
	v, _ := e.at.LoadOrStore(s.ID, new(atomic.Int32))
	n := v.(*atomic.Int32)
	e.worst.Store(max(e.worst.Load(), n.Add(1)))
	time.Sleep(time.Millisecond)
	n.Add(-1)
	return validator.FailWith(validator.RuleBroken, fmt.Sprint(s.Position), nil), nil
}

// TestStepsOfOneSessionAreJudgedOneByOne, whichever connections they come over, and those of
// others at the same time.
func TestStepsOfOneSessionAreJudgedOneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const connections, stepsEach, sessions = 8, 5, 3
		o := options
		o.Steps = connections * stepsEach
		e := &exclusive{}
		j := judge.New(judge.NewChain(judge.Options{Limits: judge.Limits{Cap: time.Minute}},
			judge.Local(judge.Member{Name: "exclusive", Validator: e})))
		a := &agent{TB: t, Manager: session.NewManager(j, o, slog.New(&lines{}))}

		var mu sync.Mutex
		places := map[string]int{} // "session position" to how often
		var running sync.WaitGroup
		began := time.Now()
		for range connections {
			for s := range sessions {
				running.Go(func() {
					c := a.connect(here)
					defer c.Close()
					for range stepsEach {
						answer := do(c, named(fmt.Sprint(s), 1))
						mu.Lock()
						places[fmt.Sprint(s, " ", answer.Reply.Detail)]++
						mu.Unlock()
					}
				})
			}
		}
		running.Wait()
		if took := time.Since(began); took != time.Duration(o.Steps)*time.Millisecond {
			t.Errorf("took %v, want that of one session", took)
		}
		if worst := e.worst.Load(); worst != 1 {
			t.Errorf("%d steps of one session were judged at once", worst)
		}
		if len(places) != sessions*o.Steps {
			t.Errorf("%d positions were judged, want %d", len(places), sessions*o.Steps)
		}
		if got := a.Stats(); got.Completed != sessions {
			t.Errorf("got %+v", got)
		}
		a.check()
		a.expire()
	})
}
