package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/validator"
)

// within judges one step of a session at the given position within a budget.
func within(t testing.TB, budget time.Duration, g judge.Group, id int64, states ...[]byte) []judge.Answer {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), budget, fmt.Errorf("no verdict within %v", budget))
	defer cancel()
	if states == nil {
		states = make([][]byte, len(g.Names()))
	}
	return g.Judge(ctx, judge.Call{Session: validator.Session{ID: "s", Steps: 10}, States: states,
		Step: validator.Step{ID: id}})
}

// passes judges one step, with plenty of time, that every validator of the group must pass.
func passes(t testing.TB, g judge.Group, id int64) {
	t.Helper()
	for i, a := range within(t, patience, g, id) {
		if a.Err != nil || a.Verdict.Outcome != validator.Pass {
			t.Errorf("%s, step %d: %+v", g.Names()[i], id, a)
		}
	}
}

func TestEveryValidatorAnswersWithItsOwnState(t *testing.T) {
	h, _ := newTestHost(t, nil)
	g := startSet(t, h, Spec{Name: "a", Validator: "counter"}, Spec{Name: "b", Validator: "echo"},
		Spec{Name: "c", Validator: "counter"}).Groups()[0]
	one := judge.Expectation{StepID: 1, Known: true}
	same(t, []judge.Expectation{one, {}, one}, g.First())
	got := within(t, patience, g, 3, []byte(".."), nil, nil)
	want := []judge.Answer{
		{Verdict: validator.PassWith([]byte("...")), Expects: judge.Expectation{StepID: 4, Known: true}},
		{Verdict: validator.PassWith(nil)},
		{Verdict: validator.FailWith(validator.OutOfOrder, "got step 3, want 1", nil), Expects: one},
	}
	for i := range got { // how long it took is no part of the answer
		got[i].Queued = 0
	}
	same(t, want, got)
}

func TestNeighboursOfOnePluginShareAProcess(t *testing.T) {
	h, _ := newTestHost(t, nil)
	file := func(name string, args ...string) Spec {
		return Spec{Name: name, Validator: "echo", Path: self(t), Args: append([]string{"plugin"}, args...)}
	}
	inside := func(name string) Spec { return Spec{Name: name, Validator: "echo"} }
	for name, test := range map[string]struct {
		specs []Spec
		want  [][]string
	}{
		"bundled, one path, other arguments, bundled again": {
			[]Spec{inside("a"), inside("b"), file("c", "good"), file("d", "good"), file("e", "good", "x"), inside("f")},
			[][]string{{"a", "b"}, {"c", "d"}, {"e"}, {"f"}}},
		"none": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			set := startSet(t, h, test.specs...)
			var got [][]string
			pids := map[int]bool{}
			for i, st := range set.Status() {
				got = append(got, st.Validators)
				pids[st.PID] = true
				passes(t, set.Groups()[i], 1)
			}
			same(t, test.want, got)
			if len(pids) != len(test.want) || len(children()) != len(test.want) {
				t.Errorf("%d processes, want %d", len(pids), len(test.want))
			}
			set.Close(t.Context())
			if left := children(); len(left) > 0 {
				t.Errorf("still there after Close: %v", left)
			}
		})
	}
}

func TestStartReportsEverythingThatIsWrong(t *testing.T) {
	h, _ := newTestHost(t, nil)
	exits := filepath.Join(t.TempDir(), "exits")
	writeProgram(t, exits, []byte("#!/bin/sh\necho no licence found >&2\nexit 7\n"))
	_, err := h.Start(t.Context(), []Spec{
		{Name: "a", Validator: "echo"},
		{Name: "b", Validator: "crash", Settings: []byte(`{"stp":1}`)},
		{Name: "c", Validator: "echo", Path: "/no/such/file"},
		{Name: "d", Validator: "typo"},
		{Name: "e", Validator: "echo", Path: exits},
		{Name: "f", Validator: "crash", Settings: []byte(`{"stap":1}`)},
	})
	want := []SpecError{
		{Index: 1, Key: "settings.stp", Problem: "unknown key; the keys here are step"},
		{Index: 2, Key: "path", Problem: "there is no file /no/such/file; correct the path or install the plugin"},
		{Index: 3, Key: "validator", Problem: `plugin bundled has no validator "typo"; it has echo, tells, mirror, counter-declared, counter, crash, crash-loudly, bomb, ` +
			`hang, slow, panic, print, flood, orphans, gush, meddle, flaky, flaky-declared, second-hangs, second-dawdles, dawdles, hog, writes-1, writes-2, environment`},
		{Index: 4, Key: "path", Problem: exits + " ended before it was ready (exit status 7); " +
			"it said: no licence found; is it a stepagent plugin?"},
		{Index: 5, Key: "settings.stap", Problem: "unknown key; the keys here are step"},
	}
	same(t, want, specErrors(t, err))
	if left := children(); len(left) > 0 {
		t.Errorf("still there after a failed start: %v", left)
	}
}

// specErrors takes a joined error apart.
func specErrors(t *testing.T, err error) []SpecError {
	t.Helper()
	var all []SpecError
	var walk func(error)
	walk = func(err error) {
		var one *SpecError
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() {
				walk(e)
			}
		} else if errors.As(err, &one) {
			all = append(all, *one)
		} else {
			t.Errorf("an error of another kind: %v", err)
		}
	}
	walk(err)
	return all
}

func TestSpecsThatCannotBe(t *testing.T) {
	h, _ := newTestHost(t, nil)
	_, err := h.Start(t.Context(), []Spec{{Name: "a"}, {}, {Name: "a", Path: "relative"}})
	var got []string
	for _, e := range specErrors(t, err) {
		got = append(got, e.Error())
	}
	want := []string{
		"validator 2: name: a validator needs a name",
		`validator 3: name: there are two validators with the name "a"; give each a name of its own`,
		`validator 3: path: "relative" is not an absolute path`,
	}
	same(t, want, got)
}

func TestStartEndsWithItsContext(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(errors.New("the agent is stopping")) })
	_, err := h.Start(ctx, []Spec{
		{Name: "a", Validator: "echo"},
		{Name: "b", Validator: "echo", Path: self(t), Args: []string{"plugin", "silent"}},
	})
	all := specErrors(t, err)
	if !slices.ContainsFunc(all, func(e SpecError) bool {
		return e.Index == 1 && strings.Contains(e.Problem, "was not ready in time: the agent is stopping")
	}) {
		t.Errorf("got %v", all)
	}
}

func TestAPluginSeesNoSecrets(t *testing.T) {
	t.Setenv("STEPAGENT_SECRET", "x")
	t.Setenv("TZ", "Asia/Seoul")
	h, _ := newTestHost(t, nil)
	g := startSet(t, h, Spec{Name: "a", Validator: "environment"}).Groups()[0]
	a := within(t, patience, g, 1)[0]
	env := strings.Split(string(a.Verdict.State), "\n")
	if !slices.Contains(env, "TZ=Asia/Seoul") {
		t.Errorf("TZ is missing: %q", env)
	}
	known := []string{"PATH", "HOME", "LANG", "LC_ALL", "TZ", "STEPAGENT_PLUGIN", "GOMAXPROCS"}
	for _, v := range env {
		key, _, _ := strings.Cut(v, "=")
		if !slices.Contains(known, key) && !strings.HasPrefix(key, "PLUGIN_") {
			t.Errorf("the plugin sees %s", v)
		}
	}
}
