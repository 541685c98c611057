// Command steady is a validator with a memory: data.voltage stays near that of the step before.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/stepagent/stepagent/plugins/sdk"
	"github.com/stepagent/stepagent/plugins/validator"
)

type steady struct {
	Volts float64 `json:"volts"`
}

func newSteady(settings []byte) (validator.Validator, error) {
	s := &steady{Volts: 0.5}
	if err := validator.DecodeSettings(settings, s); err != nil {
		return nil, err
	}
	if s.Volts <= 0 {
		return nil, &validator.SettingError{Key: "volts", Problem: fmt.Sprintf("want more than 0, got %g", s.Volts)}
	}
	return s, nil
}

// Reads implements validator.Declarer. The state is always given.
func (s *steady) Reads() validator.Inputs { return validator.InputData }

func (s *steady) Validate(_ context.Context, session validator.Session, step validator.Step) (validator.Verdict, error) {
	last, known, err := read(session.State)
	if err != nil {
		return validator.Verdict{}, err
	}
	now, ok := voltage(step.Data)
	if !ok {
		return validator.FailWith(validator.RuleBroken, "data has no number voltage", bytes.Clone(session.State)), nil
	}
	if known && math.Abs(now-last) > s.Volts {
		return validator.FailWith(validator.RuleBroken, fmt.Sprintf("from %g V to %g V in one step", last, now), state(now)), nil
	}
	return validator.PassWith(state(now)), nil
}

func voltage(data []byte) (volts float64, ok bool) {
	var sent struct{ Voltage *float64 }
	if json.Unmarshal(data, &sent) != nil || sent.Voltage == nil {
		return 0, false
	}
	return *sent.Voltage, true
}

// The state is its version, 1, and the last voltage.
func state(volts float64) []byte {
	return binary.BigEndian.AppendUint64([]byte{1}, math.Float64bits(volts))
}

func read(state []byte) (volts float64, known bool, err error) {
	switch {
	case len(state) == 0:
		return 0, false, nil
	case len(state) != 9 || state[0] != 1:
		return 0, false, errors.New("the session's state is not that of this validator; begin a new session")
	}
	return math.Float64frombits(binary.BigEndian.Uint64(state[1:])), true, nil
}

func main() {
	sdk.Serve(sdk.Plugin{Name: "steady", Version: "1.0.0", Validators: []sdk.Validator{{
		Name: "steady", Version: "1.0.0", Summary: "the voltage stays near that of the step before", New: newSteady,
	}}})
}
