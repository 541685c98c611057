package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/judge"
	"github.com/stepagent/stepagent/plugins/validator"
)

// An inbox gets the answers to steps for which nobody waits.
type inbox struct {
	t    *testing.T
	mu   sync.Mutex
	got  map[int][]judge.Answer
	wait sync.WaitGroup
}

func newInbox(t *testing.T) *inbox { return &inbox{t: t, got: map[int][]judge.Answer{}} }

// Receive implements judge.Receiver. What it is given is good until it returns.
func (in *inbox) Receive(index int, answers []judge.Answer) {
	defer in.wait.Done()
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.got[index] != nil {
		in.t.Errorf("step %d is answered twice", index)
	}
	in.got[index] = slices.Clone(answers)
}

// start puts a step to the group, which is to be answered within the limit.
func (in *inbox) start(ctx context.Context, g judge.Group, index int, limit time.Duration, id int64, states ...[]byte) {
	in.wait.Add(1)
	g.(judge.Starter).Start(judge.Bound{Parent: ctx, Deadline: time.Now().Add(limit), Limit: limit},
		judge.Call{Session: validator.Session{ID: "s", Steps: 10}, States: states, Step: validator.Step{ID: id}}, in, index)
}

// all waits for the answers.
func (in *inbox) all() map[int][]judge.Answer {
	in.wait.Wait()
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.got
}

// one returns how long the only answer took, and its error.
func (in *inbox) one() (time.Duration, error) {
	began := time.Now()
	err := in.all()[0][0].Err
	return time.Since(began), err
}

// Steps that nobody waits for get the verdicts of those that somebody does, over a data path
// and a stream, while the plugin is killed under them again and again.
func TestStartedStepsSurviveKills(t *testing.T) {
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprintf("stream %v", stream), func(t *testing.T) {
			h, _ := newTestHost(t, func(o *Options) { atOnce(o); o.streamOnly = stream })
			set := startSet(t, h, Spec{Name: "a", Validator: "counter"})
			survivesKills(t, set)
		})
	}
}

func survivesKills(t *testing.T, set *Set) {
	g, in := set.Groups()[0], newInbox(t)
	const rounds, crowd = 20, 200
	for round := range rounds {
		for n := range crowd {
			in.start(t.Context(), g, round*crowd+n, patience, int64(n%3), []byte("."))
		}
		g.(judge.Starter).Flush()
		if pid := set.Status()[0].PID; round%4 == 3 && pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			in.all() // before the next kill: who meets two is given up
		}
	}
	for i, answers := range in.all() {
		want := validator.Fail
		if i%crowd%3 == 2 {
			want = validator.Pass
		}
		if a := answers[0]; a.Err != nil || a.Verdict.Outcome != want {
			t.Fatalf("step %d of %d: %+v", i, len(in.got), a)
		}
	}
	if len(in.got) != rounds*crowd {
		t.Errorf("%d of %d steps are answered", len(in.got), rounds*crowd)
	}
	if st := set.Status()[0]; st.Steps != rounds*crowd || st.Errors != 0 || st.Restarts == 0 {
		t.Errorf("status = %+v", st)
	}
}

// A started step is answered at its deadline, and when its parent ends, whatever the plugin
// does, and whether or not there is room for it.
func TestStartedStepsEndInTime(t *testing.T) {
	h, _ := newTestHost(t, nil)
	hang := startSet(t, h, Spec{Name: "a", Validator: "hang", Settings: []byte(`{"step":3}`)}).Groups()[0]
	in := newInbox(t)
	in.start(t.Context(), hang, 0, 50*time.Millisecond, 3, nil)
	hang.(judge.Starter).Flush()
	if _, err := in.one(); err == nil || err.Error() != "no verdict within 50ms" {
		t.Errorf("at the deadline: %v", err)
	}

	slow := startSet(t, h, Spec{Name: "a", Validator: "slow", Settings: []byte(`{"step":3}`)}).Groups()[0]
	gone := errors.New("gone")
	parent, cancel := context.WithCancelCause(t.Context())
	in = newInbox(t)
	in.start(parent, slow, 0, time.Hour, 3, nil)
	slow.(judge.Starter).Flush()
	cancel(gone)
	if took, err := in.one(); !errors.Is(err, gone) || took > patience {
		t.Errorf("when the parent ended: %v, after %v", err, took)
	}
	in = newInbox(t)
	in.start(parent, slow, 0, time.Hour, 3, nil) // has ended before
	slow.(judge.Starter).Flush()
	if took, err := in.one(); !errors.Is(err, gone) || took > patience {
		t.Errorf("with a parent that had ended: %v, after %v", err, took)
	}

	parent, cancel = context.WithCancelCause(t.Context())
	in = newInbox(t)
	for i := range maxInFlight + 1 {
		in.start(parent, slow, i, time.Hour, 3, nil)
	}
	slow.(judge.Starter).Flush()
	eventually(t, "the queue is full", func() bool {
		a := within(t, 10*time.Millisecond, slow, 3)[0]
		return a.Err != nil && strings.HasPrefix(a.Err.Error(), fmt.Sprintf("%d steps wait for the plugin: ", maxInFlight))
	})
	cancel(gone)
	for i, answers := range in.all() {
		if !errors.Is(answers[0].Err, gone) {
			t.Fatalf("step %d: %+v", i, answers)
		}
	}
}

// Steps with different parents are each told when their own ends.
func TestStartedStepsOfSeveralParents(t *testing.T) {
	h, _ := newTestHost(t, nil)
	slow := startSet(t, h, Spec{Name: "a", Validator: "slow", Settings: []byte(`{"step":3}`)}).Groups()[0]
	gone := errors.New("gone")
	var inboxes []*inbox
	var ends []context.CancelCauseFunc
	for range 4 {
		parent, end := context.WithCancelCause(t.Context())
		ends = append(ends, end)
		inboxes = append(inboxes, newInbox(t))
		inboxes[len(inboxes)-1].start(parent, slow, 0, patience, 3, nil)
	}
	slow.(judge.Starter).Flush()
	for i, in := range inboxes {
		ends[i](gone)
		if took, err := in.one(); !errors.Is(err, gone) {
			t.Errorf("parent %d: %v, after %v", i, err, took)
		}
	}
}

// A started step that ends two processes gets no third, one of a set that is closed gets none.
func TestStartedStepsThatNobodyJudges(t *testing.T) {
	h, _ := newTestHost(t, atOnce)
	set := startSet(t, h, Spec{Name: "a", Validator: "crash", Settings: []byte(`{"step":3}`)})
	g, in := set.Groups()[0], newInbox(t)
	in.start(t.Context(), g, 0, patience, 3, nil)
	g.(judge.Starter).Flush()
	if _, err := in.one(); err == nil || !strings.HasPrefix(err.Error(), "two processes were lost over this step: ") {
		t.Errorf("a step that crashes: %v", err)
	}
	set.Close(t.Context())
	in = newInbox(t)
	in.start(t.Context(), g, 0, patience, 1, nil)
	g.(judge.Starter).Flush()
	if _, err := in.one(); !errors.Is(err, errClosed) {
		t.Errorf("a closed set: %v", err)
	}
}

// A breakingConn fails its user in the midst of a write.
type breakingConn struct{ syscall.RawConn }

func (breakingConn) Write(func(uintptr) bool) error { panic("defect") }

// A panic while steps are written costs the process, and neither the steps their verdicts nor the
// agent its life.
func TestStartedStepsSurviveAPanic(t *testing.T) {
	h, log := newTestHost(t, atOnce)
	set := startSet(t, h, Spec{Name: "a", Validator: "counter"})
	g, in := set.Groups()[0].(*group), newInbox(t)
	l := g.phase.Load().link
	l.mu.Lock()
	l.data.raw = breakingConn{l.data.raw}
	l.mu.Unlock()
	const steps = 10
	for i := range steps {
		in.start(t.Context(), g, i, patience, 1, nil)
	}
	g.Flush()
	for i, answers := range in.all() {
		if a := answers[0]; a.Err != nil || a.Verdict.Outcome != validator.Pass {
			t.Errorf("step %d: %+v", i, a)
		}
	}
	if st := set.Status()[0]; st.Restarts != 1 || st.LastError != "the agent failed on its data path: defect" {
		t.Errorf("status = %+v", st)
	}
	if !strings.Contains(log.String(), "breakingConn") {
		t.Errorf("nothing says where it was:\n%s", log)
	}
}

// The shadow judges a started step again, though the memory of its call is used for others.
func TestStartedStepsHaveAShadow(t *testing.T) {
	h, log := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "counter", ShadowEvery: 1})
	g := set.Groups()[0]
	for n := range 100 {
		state, in := []byte("."), newInbox(t)
		states := [][]byte{state}
		in.start(t.Context(), g, n, patience, 2, states...)
		g.(judge.Starter).Flush()
		in.all()
		states[0] = nil
	}
	set.Close(t.Context())
	if differing := set.Status()[0].Differing; differing != 0 || strings.Contains(log.String(), "two verdicts") {
		t.Errorf("%d steps were judged differently:\n%s", differing, log)
	}
}
