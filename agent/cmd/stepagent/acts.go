package main

import (
	"fmt"
	"slices"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/configs"
)

// An act is one procedure of the demonstration and the agent that it needs.
type act struct {
	data   string // the built-in procedure
	about  string
	config string // in TOML
	// expect has the results of the steps that do not pass, by step id.
	expect map[int64]expectation
}

// An expectation is the result of a step, with any of the reasons: on a slow machine the refusal of
// a step with a timeout of 10 ms arrives too late.
type expectation struct {
	reasons []protocol.Reason
	late    bool // the reply must have come after the timeout
}

func acts() []act {
	return []act{
		{
			data: "success", about: "every step in order and with time to answer.", config: configs.Agent,
		},
		{
			data: "failure", about: "one step out of order, two with too short a timeout.", config: configs.Agent,
			expect: map[int64]expectation{
				100: {reasons: []protocol.Reason{protocol.OutOfOrder}},
				9:   {reasons: []protocol.Reason{protocol.TimeoutTooShort}},
				10:  {reasons: []protocol.Reason{protocol.TimeoutTooShort, protocol.Timeout}},
			},
		},
		{
			data: "timeout", about: "sound, but the agent withholds a reply, sends one too late and resets a connection.",
			config: configs.Faults,
			expect: map[int64]expectation{
				4: {reasons: []protocol.Reason{protocol.Timeout}},
				6: {reasons: []protocol.Reason{protocol.Timeout}, late: true},
				8: {reasons: []protocol.Reason{protocol.ConnectionLost}},
			},
		},
	}
}

// judge returns where the run differs from the expectations.
func (a act) judge(run record.Run) []string {
	var wrong []string
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if run.Cause != record.Finished {
		complain("the run did not finish: %s", run.Cause)
	}
	for _, step := range run.Steps {
		want, special := a.expect[step.StepID]
		switch {
		case !special && step.Outcome != record.Passed:
			complain("step %d should pass: %s %s", step.StepID, step.Outcome, step.Reason)
		case special && !slices.Contains(want.reasons, step.Reason):
			complain("step %d should end with %v: %s %s", step.StepID, want.reasons, step.Outcome, step.Reason)
		case special && want.late != (step.Late != nil) && len(want.reasons) == 1:
			complain("step %d: late reply %t, should be %t", step.StepID, step.Late != nil, want.late)
		}
	}
	for _, stray := range run.Strays {
		complain("a message answers nothing: %s", stray.Detail)
	}
	return wrong
}
