package validatortest_test

import (
	"context"
	"fmt"

	"github.com/stepagent/stepagent/plugins/validator"
	"github.com/stepagent/stepagent/plugins/validatortest"
)

// A limit fails steps with an id above it.
type limit int64

func (l limit) Validate(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
	if step.ID > int64(l) {
		return validator.FailWith(validator.RuleBroken, fmt.Sprintf("step %d is above %d", step.ID, l), nil), nil
	}
	return validator.PassWith(nil), nil
}

// A firstOnly validator passes each step once: it remembers steps outside of the State.
type firstOnly map[int64]bool

func (o firstOnly) Validate(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
	if o[step.ID] {
		return validator.FailWith(validator.RuleBroken, "the step came before", nil), nil
	}
	o[step.ID] = true
	return validator.PassWith(nil), nil
}

func ExampleExamine() {
	for _, v := range []func() validator.Validator{
		func() validator.Validator { return limit(7) },
		func() validator.Validator { return firstOnly{} },
	} {
		failures, err := validatortest.Examine(func() (validator.Validator, error) { return v(), nil },
			validatortest.Options{StepIDs: []int64{6, 7, 8}})
		if err != nil {
			fmt.Println(err)
			return
		}
		broken := "none"
		for _, failure := range failures {
			if failure.Law == "purity" {
				broken = failure.Law
			}
		}
		fmt.Printf("%T: broken law: %s\n", v(), broken)
	}
	// Output:
	// validatortest_test.limit: broken law: none
	// validatortest_test.firstOnly: broken law: purity
}
