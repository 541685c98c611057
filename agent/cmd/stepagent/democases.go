package main

import (
	"fmt"
	"slices"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/configs"
)

// A demoCase is one procedure of the demonstration and the config of the agent that it needs.
type demoCase struct {
	procedure string // built in
	about     string
	config    string // in TOML
	// expect has the results of the steps that do not pass, by step id.
	expect map[int64]expectation
}

// An expectation is the result of a step, with any of the reasons: on a slow machine the refusal of
// a step with a timeout of 10 ms arrives too late.
type expectation struct {
	reasons []protocol.Reason
	late    bool // the reply must have come after the timeout
}

func demoCases() []demoCase {
	return []demoCase{
		{
			procedure: "success", about: "every step in order and with time to answer.", config: configs.Agent,
		},
		{
			procedure: "failure", about: "one step out of order, two with too short a timeout.", config: configs.Agent,
			expect: map[int64]expectation{
				100: {reasons: []protocol.Reason{protocol.OutOfOrder}},
				9:   {reasons: []protocol.Reason{protocol.TimeoutTooShort}},
				10:  {reasons: []protocol.Reason{protocol.TimeoutTooShort, protocol.Timeout}},
			},
		},
		{
			procedure: "timeout", about: "sound, but the agent withholds a reply, sends one too late and resets a connection.",
			config: configs.Faults,
			expect: map[int64]expectation{
				4: {reasons: []protocol.Reason{protocol.Timeout}},
				6: {reasons: []protocol.Reason{protocol.Timeout}, late: true},
				8: {reasons: []protocol.Reason{protocol.ConnectionLost}},
			},
		},
	}
}

// check returns the differences between the run and the expectations.
func (c demoCase) check(run record.Run) []string {
	var wrong []string
	report := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if run.Cause != record.Finished {
		report("the run did not finish: %s", run.Cause)
	}
	for _, step := range run.Steps {
		want, special := c.expect[step.StepID]
		switch {
		case !special && step.Outcome != record.Passed:
			report("step %d should pass: %s %s", step.StepID, step.Outcome, step.Reason)
		case special && !slices.Contains(want.reasons, step.Reason):
			report("step %d should end with %v: %s %s", step.StepID, want.reasons, step.Outcome, step.Reason)
		case special && want.late != (step.Late != nil) && len(want.reasons) == 1:
			report("step %d: late reply %t, should be %t", step.StepID, step.Late != nil, want.late)
		}
	}
	for _, stray := range run.Strays {
		report("a message answers nothing: %s", stray.Detail)
	}
	return wrong
}
