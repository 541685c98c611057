package judge_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/validator"
)

// given is what a validator was given.
type given struct {
	Session, Expects, First validator.Session
	Step                    validator.Step
}

// A declarer is a validator that declares what it reads and keeps what it is given.
type declarer struct {
	expecter
	reads validator.Inputs
}

func (d declarer) Reads() validator.Inputs { return d.reads }

// watching returns an expecter that keeps what it is given.
func watching(to *given) expecter {
	validate := func(s validator.Session, st validator.Step) (validator.Verdict, error) {
		to.Session, to.Step = s, st
		return validator.PassWith([]byte("new")), nil
	}
	expects := func(s validator.Session) (int64, bool) {
		to.Expects = s
		return 7, true
	}
	return expecter{validate, expects}
}

// TestLocalGivesWhatIsDeclared and nothing else, in Validate, in Expects and in First: a
// validator must say the same as in a process of its own. The State is always given, the ID never.
func TestLocalGivesWhatIsDeclared(t *testing.T) {
	t.Parallel()
	const position, steps = validator.InputPosition, validator.InputSteps
	nothing := func(*given) {}
	everything := func(g *given) {
		g.Session.Position, g.Session.Steps = 4, 10
		g.Expects.Position, g.Expects.Steps = 5, 10 // the step has been judged
		g.First.Steps = 1
		g.Step = wholeStep
	}
	tests := map[string]struct {
		reads validator.Inputs
		want  func(*given)
	}{
		"nothing": {0, nothing},
		"position": {position, func(g *given) {
			g.Session.Position, g.Expects.Position = 4, 5
		}},
		"steps": {steps, func(g *given) {
			g.Session.Steps, g.Expects.Steps, g.First.Steps = 10, 10, 1
		}},
		"step_id":    {validator.InputStepID, func(g *given) { g.Step.ID = wholeStep.ID }},
		"timeout":    {validator.InputTimeout, func(g *given) { g.Step.Timeout = wholeStep.Timeout }},
		"interval":   {validator.InputInterval, func(g *given) { g.Step.Interval = wholeStep.Interval }},
		"at":         {validator.InputAt, func(g *given) { g.Step.At = wholeStep.At }},
		"gap":        {validator.InputGap, func(g *given) { g.Step.Gap = wholeStep.Gap }},
		"data":       {validator.InputData, func(g *given) { g.Step.Data = wholeStep.Data }},
		"all":        {validator.AllInputs, everything},
		"not listed": {^validator.AllInputs, nothing},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got given
			compareGiven(t, &got, declarer{watching(&got), test.reads}, test.want)
		})
	}
	t.Run("no declaration", func(t *testing.T) {
		t.Parallel()
		var got given
		compareGiven(t, &got, watching(&got), everything)
	})
}

// wholeStep has every input.
var wholeStep = validator.Step{
	ID: 5, Timeout: declared(time.Second), Interval: declared(2 * time.Second), At: 3 * time.Second,
	Gap: declared(4 * time.Second), Data: []byte(`{"volt":12}`),
}

// compareGiven puts the whole step to the validator in each way that there is.
func compareGiven(t *testing.T, got *given, v validator.Validator, fill func(*given)) {
	t.Helper()
	want := given{
		Session: validator.Session{State: []byte("old")},
		Expects: validator.Session{State: []byte("new")},
	}
	fill(&want)
	member := judge.Member{Name: "a", Validator: v}
	call := judge.Call{
		Session: validator.Session{ID: "s", Position: 4, Steps: 10},
		States:  [][]byte{[]byte("old")}, Step: wholeStep,
	}
	for name, ask := range map[string]func() []judge.Answer{
		"Local": func() []judge.Answer { return judge.Local(member).Judge(t.Context(), call) },
		"Inline": func() []judge.Answer {
			answers, _ := judge.Inline(member).Try(&call)
			return answers
		},
	} {
		*got = given{}
		judge.Local(member).First()
		got.First, got.Expects = got.Expects, validator.Session{}
		answers := ask()
		if diff := cmp.Diff([]judge.Answer{expecting(pass("new"), 7)}, answers); diff != "" {
			t.Errorf("%s, answers, want - got +\n%s", name, diff)
		}
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("%s, given, want - got +\n%s", name, diff)
		}
	}
}
