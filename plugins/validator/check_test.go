package validator_test

import (
	"strings"
	"testing"

	"github.com/stepagent/stepagent/plugins/validator"
)

func TestVerdictCheck(t *testing.T) {
	t.Parallel()
	pass := validator.PassWith
	fail := func(reason validator.Reason, detail string) validator.Verdict {
		return validator.FailWith(reason, detail, nil)
	}
	withFault := func(f validator.Fault) validator.Verdict {
		return validator.Verdict{Outcome: validator.Pass, Fault: &f}
	}
	tests := map[string]struct {
		verdict validator.Verdict
		want    string // part of the error; empty for none
	}{
		"pass":                {pass(nil), ""},
		"pass, largest state": {pass(make([]byte, validator.MaxStateBytes)), ""},
		"fail, no detail":     {fail(validator.OutOfOrder, ""), ""},
		"fail, longest detail": {
			fail(validator.OutOfOrder, strings.Repeat("x", validator.MaxDetailBytes)), ""},
		"fault with no delay": {withFault(validator.Fault{Kind: validator.FaultReset}), ""},

		"zero value":        {validator.Verdict{}, "outcome: undecided without an error"},
		"unknown outcome":   {validator.Verdict{Outcome: 3}, "outcome: 3 is neither"},
		"pass with reason":  {validator.Verdict{Outcome: validator.Pass, Reason: validator.RuleBroken}, "reason: a pass has none"},
		"fail, no reason":   {fail("", "why"), `reason: a fail has one of`},
		"fail, agent's own": {fail("busy", "why"), `got "busy"`},
		"fail, long reason": {fail(validator.Reason(strings.Repeat("x", 100)), ""), `got "` + strings.Repeat("x", 64) + `"`},
		"detail too long": {
			fail(validator.OutOfOrder, strings.Repeat("x", validator.MaxDetailBytes+1)), "detail: 513 bytes"},
		"detail no UTF-8":  {fail(validator.OutOfOrder, "\xff"), "detail: not valid UTF-8"},
		"state too large":  {pass(make([]byte, validator.MaxStateBytes+1)), "state: 4097 bytes"},
		"fault of no kind": {withFault(validator.Fault{}), "fault: kind 0 is not known"},
		"fault of kind 9":  {withFault(validator.Fault{Kind: 9}), "fault: kind 9 is not known"},
		"fault, delay < 0": {withFault(validator.Fault{Kind: validator.FaultDelay, Delay: -1}), "fault: delay -1ns"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.verdict.Check()
			switch {
			case test.want == "" && err != nil:
				t.Errorf("got error %q, want none", err)
			case test.want != "" && err == nil:
				t.Errorf("got no error, want %q", test.want)
			case test.want != "" && !strings.Contains(err.Error(), test.want):
				t.Errorf("got error %q, want %q in it", err, test.want)
			}
		})
	}
}

func TestVerdictCheckTakesEveryReasonAndFault(t *testing.T) {
	t.Parallel()
	for _, reason := range validator.Reasons() {
		if err := validator.FailWith(reason, "why", nil).Check(); err != nil {
			t.Errorf("reason %s: %v", reason, err)
		}
	}
	for kind, name := range validator.FaultKinds() {
		v := validator.Verdict{Outcome: validator.Pass, Fault: &validator.Fault{Kind: kind}}
		if err := v.Check(); err != nil {
			t.Errorf("fault %s: %v", name, err)
		}
	}
}
