package sdk_test

import (
	"context"
	"fmt"

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

// The agent's side encodes a step for a plugin; the plugin's side decodes it.
func ExampleEncodeCall() {
	call := sdk.EncodeCall(validator.Session{Position: 2, Steps: 10}, nil, validator.Step{ID: 3})
	session, _, step := sdk.DecodeCall(call)
	fmt.Printf("step %d after %d of %d\n", step.ID, session.Position, session.Steps)
	// Output: step 3 after 2 of 10
}

func ExampleDecodeAnswer() {
	answer := sdk.DecodeAnswer(sdk.EncodeAnswer(sdk.Answer{
		Verdict: validator.FailWith(validator.OutOfOrder, "step 3 must come now, got 4", nil),
		Expects: 4, Known: true,
	}))
	fmt.Println(answer.Verdict.Outcome, answer.Verdict.Reason, answer.Verdict.Detail, answer.Expects)
	// Output: fail out_of_order step 3 must come now, got 4 4
}
