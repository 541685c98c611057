package pluginhost

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/verdictcache"
	"github.com/stepagent/stepagent/plugins/validator"
)

// The name of a session is in no key: two sessions share a verdict, and the validator is told none.
func TestKeptWhateverTheSessionIsCalled(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	g := startSet(t, h, tells(t, "a", validator.AllInputs.Names()[0])).Groups()[0]
	first, second := fullCall(1), fullCall(1)
	second.Session.ID = "another"
	want := ask(t, g, first)
	if want[0].Session.ID != "" {
		t.Errorf("the validator was told %+v", want[0].Session)
	}
	same(t, want, ask(t, g, second))
}

// Absent is not zero: a timeout of 0 and none, no data and an empty object, are different questions.
func TestKeptAbsentIsNotZero(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	g := startSet(t, h, tells(t, "a", "timeout", "interval", "data")).Groups()[0]
	zero := validator.Wait{Declared: true}
	calls := map[string]judge.Call{}
	for name, step := range map[string]validator.Step{
		"nothing": {}, "timeout 0": {Timeout: zero}, "interval 0": {Interval: zero}, "both 0": {Timeout: zero, Interval: zero},
		"timeout 1 ns": {Timeout: validator.Wait{Duration: 1, Declared: true}},
		"no fields":    {Data: []byte(`{}`)}, "a space": {Data: []byte(`{ }`)},
		"data like a timeout": {Data: []byte{0x10, 0}},
	} {
		calls[name] = judge.Call{States: make([][]byte, 1), Step: step}
	}
	withState := judge.Call{States: [][]byte{{0}}}
	calls["a state"] = withState
	asked := map[int64]string{}
	for range 2 {
		for name, call := range calls {
			got := ask(t, g, call)[0].Asked
			if other, twice := asked[got]; twice && other != name {
				t.Errorf("%q got the verdict of %q", name, other)
			}
			asked[got] = name
		}
	}
	if len(asked) != len(calls) {
		t.Errorf("%d steps were asked about, want %d", len(asked), len(calls))
	}
}

// How long the verdict may take, and the number of the call, are in no key.
func TestKeptWhateverTheBudget(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	g := startSet(t, h, tells(t, "a", "step_id")).Groups()[0]
	want := ask(t, g, oneCall(1))
	ask(t, g, oneCall(2)) // another number for the next call
	for _, budget := range []time.Duration{time.Nanosecond, patience, time.Hour} {
		ctx, cancel := context.WithTimeout(t.Context(), budget)
		got := toldBy(t, g.Judge(ctx, oneCall(1)))
		cancel()
		if !reflect.DeepEqual(want, got) {
			t.Errorf("within %v: got %+v, want %+v", budget, got, want)
		}
	}
}

// What must come next is kept with the verdict: it was asked with the session as the verdict left it.
func TestKeptExpectation(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	g := startSet(t, h, Spec{Name: "a", Validator: "counter-declared", Cache: verdictcache.Options{Bytes: keptBytes}}).Groups()[0]
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, kept := range []bool{false, true} {
		var state []byte
		for id := range int64(5) {
			a := g.Judge(ctx, judge.Call{States: [][]byte{state}, Step: validator.Step{ID: id + 1}})[0]
			if want := (judge.Expectation{StepID: id + 2, Known: true}); a.Err != nil || a.Expects != want || a.Kept != kept {
				t.Errorf("step %d: %+v, want %+v to come, kept %t", id+1, a, want, kept)
			}
			state = a.Verdict.State
		}
	}
}
