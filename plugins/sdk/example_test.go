package sdk_test

import (
	"context"

	"github.com/stepagent/stepagent/plugins/sdk"
	"github.com/stepagent/stepagent/plugins/validator"
)

// even passes steps with an even id.
type even struct{}

func (even) Validate(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
	if step.ID%2 != 0 {
		return validator.FailWith(validator.RuleBroken, "the step id is odd", nil), nil
	}
	return validator.PassWith(nil), nil
}

// The body of main in a plugin with one validator, which has no settings.
func ExampleServe() {
	sdk.Serve(sdk.Plugin{Name: "even", Version: "1.0.0", Validators: []sdk.Validator{{
		Name: "even", Version: "1.0.0", Summary: "step ids are even",
		New: func([]byte) (validator.Validator, error) { return even{}, nil },
	}}})
}
