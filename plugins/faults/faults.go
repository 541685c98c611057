// Package faults is the validator faults, which passes every step and asks the agent to misbehave at
// planned ones. The README is its manual.
package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/stepagent/stepagent/plugins/validator"
)

// Name is the validator's name in configs and logs.
const Name = "faults"

// MaxPlan is the largest number of entries in a plan. Their counts fit into a session's State.
const MaxPlan = 100

// everyTime is the occurrence of an entry that applies each time its step comes.
const everyTime = 0

// An event is an occurrence of a step in a session, counted from 1.
type event struct {
	stepID     int64
	occurrence int64
}

type faults struct {
	plan map[event]validator.Fault
	// planned holds the step ids in the plan, which are counted.
	planned map[int64]bool
}

// New makes the validator from its settings. It is a [validator.Factory].
func New(settings []byte) (validator.Validator, error) {
	var s struct {
		Plan []json.RawMessage `json:"plan"`
	}
	if err := validator.DecodeSettings(settings, &s); err != nil {
		return nil, err
	}
	if len(s.Plan) > MaxPlan {
		return nil, &validator.SettingError{Key: "plan",
			Problem: fmt.Sprintf("%d entries, at most %d are allowed", len(s.Plan), MaxPlan)}
	}

	f := &faults{plan: make(map[event]validator.Fault), planned: make(map[int64]bool)}
	var problems []error
	entries := make(map[event]string)
	for i, settings := range s.Plan {
		path := fmt.Sprintf("plan[%d]", i)
		at, fault, err := readEntry(path, settings)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if before, twice := entries[at]; twice {
			problems = append(problems, &validator.SettingError{Key: path,
				Problem: fmt.Sprintf("step %d, occurrence %d is in %s already", at.stepID, at.occurrence, before)})
		}
		entries[at] = path
		f.plan[at] = fault
		f.planned[at.stepID] = true
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return f, nil
}

// Validate passes every step and asks for its planned fault.
func (f *faults) Validate(_ context.Context, session validator.Session, step validator.Step) (validator.Verdict, error) {
	seen, err := readCounts(session.State)
	if err != nil {
		return validator.Verdict{}, err
	}
	maps.DeleteFunc(seen, func(id, _ int64) bool { return !f.planned[id] }) // other settings counted these
	var fault *validator.Fault
	if f.planned[step.ID] {
		seen.add(step.ID)
		fault = f.at(event{step.ID, seen[step.ID]})
	}
	state, err := seen.state()
	if err != nil {
		return validator.Verdict{}, err
	}
	return validator.Verdict{Outcome: validator.Pass, State: state, Fault: fault}, nil
}

// Reads implements validator.Declarer.
func (f *faults) Reads() validator.Inputs { return validator.InputStepID }

func (f *faults) at(now event) *validator.Fault {
	for _, at := range []event{now, {now.stepID, everyTime}} {
		if fault, planned := f.plan[at]; planned {
			return &fault // a copy: the agent owns the verdict
		}
	}
	return nil
}
