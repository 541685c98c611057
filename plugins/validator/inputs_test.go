package validator_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/plugins/validator"
)

// full has a value in every field.
var full = struct {
	session validator.Session
	step    validator.Step
}{
	validator.Session{ID: "bench", Position: 3, Steps: 10, State: []byte("state")},
	validator.Step{ID: 4, Timeout: declared(5 * time.Second), Interval: declared(0), At: time.Minute,
		Gap: declared(time.Second), Data: []byte(`{"a":1}`)},
}

func declared(d time.Duration) validator.Wait { return validator.Wait{Duration: d, Declared: true} }

// each are the inputs with their names and what is given of full when only they are declared.
var each = []struct {
	input   validator.Inputs
	name    string
	session validator.Session
	step    validator.Step
}{
	{validator.InputPosition, "position", validator.Session{Position: 3}, validator.Step{}},
	{validator.InputSteps, "steps", validator.Session{Steps: 10}, validator.Step{}},
	{validator.InputStepID, "step_id", validator.Session{}, validator.Step{ID: 4}},
	{validator.InputTimeout, "timeout", validator.Session{}, validator.Step{Timeout: declared(5 * time.Second)}},
	{validator.InputInterval, "interval", validator.Session{}, validator.Step{Interval: declared(0)}},
	{validator.InputAt, "at", validator.Session{}, validator.Step{At: time.Minute}},
	{validator.InputGap, "gap", validator.Session{}, validator.Step{Gap: declared(time.Second)}},
	{validator.InputData, "data", validator.Session{}, validator.Step{Data: []byte(`{"a":1}`)}},
}

func TestMaskGivesWhatIsDeclared(t *testing.T) {
	t.Parallel()
	for _, test := range each {
		test.session.State = full.session.State
		session, step := test.input.Mask(full.session, full.step)
		if diff := cmp.Diff(test.session, session) + cmp.Diff(test.step, step); diff != "" {
			t.Errorf("%s:\n%s", test.name, diff)
		}
	}
	session, step := validator.Inputs(0).Mask(full.session, full.step)
	if diff := cmp.Diff(validator.Session{State: full.session.State}, session) + cmp.Diff(validator.Step{}, step); diff != "" {
		t.Errorf("nothing:\n%s", diff)
	}
	want := full.session
	want.ID = ""
	session, step = validator.AllInputs.Mask(full.session, full.step)
	if diff := cmp.Diff(want, session) + cmp.Diff(full.step, step); diff != "" {
		t.Errorf("everything:\n%s", diff)
	}
}

// TestEveryFieldIsAnInput: a field that is added to a session or a step is an input, or it is
// State or ID.
func TestEveryFieldIsAnInput(t *testing.T) {
	t.Parallel()
	fields := reflect.TypeFor[validator.Session]().NumField() + reflect.TypeFor[validator.Step]().NumField()
	if want := len(each) + 2; fields != want {
		t.Errorf("a session and a step have %d fields, and the inputs are for %d", fields, want)
	}
	var all validator.Inputs
	for _, test := range each {
		all |= test.input
	}
	if all != validator.AllInputs {
		t.Errorf("got %s, want %s", all, validator.AllInputs)
	}
}

func TestInputNames(t *testing.T) {
	t.Parallel()
	for _, test := range each {
		if got := test.input.Names(); !cmp.Equal(got, []string{test.name}) || test.input.String() != test.name {
			t.Errorf("got %q and %s, want %s", got, test.input, test.name)
		}
	}
	for in, want := range map[validator.Inputs]string{
		0:                          "nothing",
		validator.AllInputs + 1:    "nothing", // no input that there is
		validator.AllInputs:        "position, steps, step_id, timeout, interval, at, gap, data",
		validator.InputData | 1<<2: "step_id, data",
	} {
		if got := in.String(); got != want {
			t.Errorf("%b: got %s, want %s", in, got, want)
		}
	}
}

type silent struct{}

func (silent) Validate(context.Context, validator.Session, validator.Step) (validator.Verdict, error) {
	return validator.PassWith(nil), nil
}

type says struct {
	silent
	reads validator.Inputs
}

func (s says) Reads() validator.Inputs { return s.reads }

func TestDeclared(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		of       validator.Validator
		want     validator.Inputs
		declared bool
	}{
		"no declarer":      {silent{}, validator.AllInputs, false},
		"nothing":          {says{}, 0, true},
		"some":             {says{reads: validator.InputGap}, validator.InputGap, true},
		"what there isn't": {says{reads: 1<<15 | validator.InputAt}, validator.InputAt, true},
	} {
		if got, declared := validator.Declared(test.of); got != test.want || declared != test.declared {
			t.Errorf("%s: got %s, %t, want %s, %t", name, got, declared, test.want, test.declared)
		}
	}
}
