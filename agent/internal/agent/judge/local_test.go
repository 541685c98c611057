package judge_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/validator"
)

// A judgement is Validate without the context.
type judgement func(validator.Session, validator.Step) (validator.Verdict, error)

func (j judgement) Validate(_ context.Context, s validator.Session, st validator.Step) (validator.Verdict, error) {
	return j(s, st)
}

// An expecter is a judgement that knows what must come next.
type expecter struct {
	judgement
	expects func(validator.Session) (int64, bool)
}

func (e expecter) Expects(s validator.Session) (int64, bool) { return e.expects(s) }

// seen passes and leaves as its state what it was asked.
func seen(s validator.Session, st validator.Step) (validator.Verdict, error) {
	return validator.PassWith(fmt.Appendf(nil, "%s %d/%d %q step %d", s.ID, s.Position, s.Steps, s.State, st.ID)), nil
}

func TestLocalAsksEachMember(t *testing.T) {
	t.Parallel()
	group := judge.Local(
		judge.Member{Name: "a", Validator: judgement(seen)},
		judge.Member{Name: "b", Validator: expecter{seen, func(s validator.Session) (int64, bool) {
			return int64(100 + s.Position + len(s.State)), true
		}}},
	)
	if diff := cmp.Diff([]string{"a", "b"}, group.Names()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]judge.Expectation{{}, {StepID: 100, Known: true}}, group.First()); diff != "" {
		t.Errorf("what must come first, want - got +\n%s", diff)
	}
	got := group.Judge(t.Context(), judge.Call{
		Session: validator.Session{ID: "s", Position: 4, Steps: 10},
		States:  [][]byte{[]byte("x"), nil},
		Step:    validator.Step{ID: 5},
	})
	want := []judge.Answer{
		pass(` 4/10 "x" step 5`),                     // no session ID
		expecting(pass(` 4/10 "" step 5`), 100+5+15), // asked as the session stands after the step
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want - got +\n%s", diff)
	}
}

func TestLocalContainsPanics(t *testing.T) {
	t.Parallel()
	broken := func(validator.Session) (int64, bool) { panic("expects is broken") }
	group := judge.Local(
		judge.Member{Name: "ok", Validator: judgement(seen)},
		judge.Member{Name: "panics", Validator: judgement(func(validator.Session, validator.Step) (validator.Verdict, error) {
			panic("a defect")
		})},
		judge.Member{Name: "errs", Validator: judgement(func(validator.Session, validator.Step) (validator.Verdict, error) {
			return validator.PassWith(nil), errors.New("no")
		})},
		judge.Member{Name: "expects", Validator: expecter{seen, broken}},
	)
	got := group.Judge(t.Context(), judge.Call{States: make([][]byte, 4)})
	for i, want := range []string{"", "panic: a defect", "no", ""} {
		switch {
		case want == "" && (got[i].Err != nil || got[i].Verdict.Outcome != validator.Pass):
			t.Errorf("member %d: got %+v, want a pass", i, got[i])
		case want != "" && (got[i].Err == nil || got[i].Err.Error() != want || got[i].Verdict.Outcome != validator.Undecided):
			t.Errorf("member %d: got %+v, want error %q", i, got[i], want)
		}
	}
	if diff := cmp.Diff(make([]judge.Expectation, 4), group.First()); diff != "" {
		t.Errorf("want - got +\n%s", diff)
	}
}

// TestLocalHasNothingAtHand: the agent's own goroutine is not for validators.
func TestLocalHasNothingAtHand(t *testing.T) {
	t.Parallel()
	j := judge.New(judge.NewChain(judge.Options{Limits: limits}, judge.Local(judge.Member{
		Name: "a", Validator: judgement(func(validator.Session, validator.Step) (validator.Verdict, error) {
			t.Error("it was asked")
			return validator.PassWith(nil), nil
		}),
	})))
	if got, ok := j.Try(judge.Session{}, judge.Step{}); ok || !reflect.DeepEqual(got, judge.Judgement{}) {
		t.Errorf("got %+v, %t", got, ok)
	}
}

// TestGroupThatPanics: wherever the group stands in the chain, and thus on whichever
// goroutine it is asked, its panic costs one step its verdict and nothing else.
func TestGroupThatPanics(t *testing.T) {
	t.Parallel()
	broken := &stub{names: []string{"a", "b"}, answers: func(context.Context, judge.Call) []judge.Answer { panic("a defect") }}
	sound := saying([]string{"c"}, pass(""))
	for name, chain := range map[string][]judge.Group{
		"first": {broken, sound}, "last": {sound, broken}, "alone": {broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := judgeBy(t, judge.Options{Limits: limits}, nil, chain...)
			if got.Outcome != validator.Undecided || got.By != "a" || !strings.Contains(got.Detail, "panic: a defect") {
				t.Errorf("got %v by %q: %s", got.Outcome, got.By, got.Detail)
			}
		})
	}
}
