// Package rules is the validator rules, which judges steps by expressions in the config. The README is
// its manual.
package rules

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stepagent/stepagent/plugins/validator"
)

// Name is the validator's name in configs and logs.
const Name = "rules"

// Limits of the evaluation of a step.
const (
	// maxIterations bounds the iterations of any, all, count and the like, of all rules together.
	maxIterations = 100_000
	// maxElements bounds the elements of the lists that one rule creates.
	maxElements = 100_000
)

type rules []rule

// Validate evaluates the rules in order and fails the step at the first that does not hold.
func (r rules) Validate(ctx context.Context, session validator.Session, step validator.Step) (validator.Verdict, error) {
	env, err := r.environment(session, step)
	if err != nil {
		return fail(r[0], err.Error()), nil
	}
	env[budgetName] = &budget{ctx: ctx, iterations: maxIterations}
	for _, rule := range r {
		holds, err := rule.evaluate(env)
		switch {
		case errors.Is(err, errStopped):
			return validator.Verdict{}, fmt.Errorf("rule %s: %w", rule.name, context.Cause(ctx))
		case err != nil:
			return fail(rule, err.Error()), nil
		case !holds:
			return fail(rule, rule.detail), nil
		}
	}
	return validator.PassWith(nil), nil
}

// fail returns the verdict for a rule that does not hold; why becomes one line.
func fail(by rule, why string) validator.Verdict {
	detail := "rule " + by.name + ": " + strings.Join(strings.Fields(why), " ")
	detail = strings.ToValidUTF8(detail[:min(len(detail), validator.MaxDetailBytes)], "")
	return validator.FailWith(by.reason, detail, nil)
}
