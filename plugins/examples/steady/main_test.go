package main

import (
	"testing"

	"github.com/stepagent/stepagent/plugins/validator"
	"github.com/stepagent/stepagent/plugins/validatortest"
)

// TestSession goes through sessions as the agent does, with the state from step to step.
func TestSession(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string][]struct {
		data, want string // want is the detail of a fail
	}{
		"steady":          {{`{"voltage":12}`, ""}, {`{"voltage":12.5}`, ""}, {`{"voltage":12}`, ""}},
		"jumps, and goes": {{`{"voltage":12}`, ""}, {`{"voltage":13}`, "from 12 V to 13 V in one step"}, {`{"voltage":13.5}`, ""}},
		"a gap":           {{`{"voltage":12}`, ""}, {`{}`, "data has no number voltage"}, {`{"voltage":13}`, "from 12 V to 13 V in one step"}},
		"nothing at all":  {{``, "data has no number voltage"}, {`{"voltage":"x"}`, "data has no number voltage"}, {`{"voltage":1}`, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := sound(t)
			session := validator.Session{Steps: len(steps)}
			for i, step := range steps {
				got, err := v.Validate(t.Context(), session, validator.Step{ID: int64(i), Data: []byte(step.data)})
				if err != nil || got.Detail != step.want || (got.Outcome == validator.Pass) != (step.want == "") {
					t.Errorf("step %d, %s: got %+v, %v, want %q", i, step.data, got, err, step.want)
				}
				session.Position, session.State = i+1, got.State
			}
		})
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{
		`{"volts":0}`:   "volts: want more than 0, got 0",
		`{"volts":"1"}`: "volts: want a number, got a string",
		`{"volt":1}`:    "volt: unknown key; the keys here are volts",
	} {
		if _, err := newSteady([]byte(settings)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", settings, err, want)
		}
	}
}

func TestStateOfAnotherIsUndecided(t *testing.T) {
	t.Parallel()
	if v, err := sound(t).Validate(t.Context(), validator.Session{State: []byte("other")}, validator.Step{}); err == nil {
		t.Errorf("got %+v", v)
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	validatortest.Check(t, func() validator.Validator { return sound(t) },
		validatortest.Options{Data: [][]byte{[]byte(`{"voltage":12}`), []byte(`{"voltage":14}`)}})
}

func sound(t *testing.T) validator.Validator {
	t.Helper()
	v, err := newSteady(nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
