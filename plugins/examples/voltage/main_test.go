package main

import (
	"testing"

	"github.com/stepagent/stepagent/plugins/validator"
	"github.com/stepagent/stepagent/plugins/validatortest"
)

func TestVoltage(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]validator.Outcome{
		`{"voltage":27.9}`: validator.Pass,
		`{"voltage":28}`:   validator.Pass,
		`{"voltage":28.1}`: validator.Fail,
		`{}`:               validator.Fail,
		``:                 validator.Fail,
	} {
		got, err := (&limit{Volts: 28}).Validate(t.Context(), validator.Session{Steps: 10}, validator.Step{ID: 1, Data: []byte(data)})
		if err != nil || got.Outcome != want {
			t.Errorf("%s: got %v, %v, want %v", data, got, err, want)
		}
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	validatortest.Check(t, func() validator.Validator { return &limit{Volts: 28} }, validatortest.Options{})
}
