// Command even is a validator in a module of its own; it passes steps with an even id. The scripts in
// packaging/acceptance build it for boards and add it to an agent.
package main

import (
	"context"

	"github.com/stepagent/stepagent/plugins/sdk"
	"github.com/stepagent/stepagent/plugins/validator"
)

type even struct{}

// Reads implements validator.Declarer.
func (even) Reads() validator.Inputs { return validator.InputStepID }

func (even) Validate(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
	if step.ID%2 != 0 {
		return validator.FailWith(validator.RuleBroken, "the step id is odd", nil), nil
	}
	return validator.PassWith(nil), nil
}

func main() {
	sdk.Serve(sdk.Plugin{Name: "even", Version: "1.0.0", Validators: []sdk.Validator{{
		Name: "even", Version: "1.0.0", Summary: "step ids are even",
		New: func([]byte) (validator.Validator, error) { return even{}, nil },
	}}})
}
