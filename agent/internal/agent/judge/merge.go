package judge

import (
	"fmt"

	"github.com/stepagent/stepagent/plugins/validator"
)

// merge returns one judgement of all answers: fail beats undecided beats pass, and among equals the
// first in the config's order gives the reason.
func (c *Chain) merge(memory Memory, answers [][]Answer) Judgement {
	j := Judgement{Outcome: validator.Pass, Generation: c.options.Generation}
	next := make(Memory, 0, len(memory))
	for i, g := range c.groups {
		for k, name := range g.Names() {
			a := check(answers[i], k)
			if a.Verdict.Outcome == validator.Undecided {
				if j.Outcome == validator.Pass {
					j.Outcome, j.By, j.Detail = validator.Undecided, name, undecided(name, a.Err)
				}
				next = next.with(name, memory.state(name))
				continue
			}
			if a.Verdict.Outcome == validator.Fail && j.Outcome != validator.Fail {
				j.Outcome, j.By = validator.Fail, name
				j.Reason, j.Detail = a.Verdict.Reason, a.Verdict.Detail
			}
			if j.Fault == nil && c.options.AllowFaults {
				j.Fault = a.Verdict.Fault
			}
			if !j.Expects.Known && a.Expects.Known {
				j.Expects = a.Expects
			}
			next = next.with(name, a.Verdict.State)
		}
	}
	j.Memory = next
	if j.Outcome == validator.Undecided {
		// The step may be sent again, so it must leave no trace.
		j.Memory, j.Fault, j.Expects = memory, nil, Expectation{}
	}
	return j
}

// check returns the k-th answer. One that is missing or malformed becomes undecided.
func check(answers []Answer, k int) *Answer {
	if k >= len(answers) {
		return &Answer{Err: fmt.Errorf("no answer")}
	}
	a := &answers[k]
	if a.Err != nil {
		return &Answer{Err: a.Err}
	}
	if err := a.Verdict.Check(); err != nil {
		return &Answer{Err: fmt.Errorf("malformed verdict: %w", err)}
	}
	return a
}

func undecided(name string, err error) string {
	if err == nil {
		return fmt.Sprintf("validator %s is undecided", name)
	}
	return fmt.Sprintf("validator %s gave no verdict: %v", name, err)
}
