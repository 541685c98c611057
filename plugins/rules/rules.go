// Package rules is the validator that judges steps by expressions which stand in the config.
// The README describes it for people who use it.
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

// Limits of what a step may cost, all rules together.
const (
	// maxRounds is how often the parts in brackets of any, all, count and the like are gone
	// through.
	maxRounds = 100_000
	// maxElements is how many elements the lists have that one rule makes.
	maxElements = 100_000
)

type rules []rule

// Validate puts the step to each rule, in order, and fails it by the first that does not hold.
func (r rules) Validate(ctx context.Context, session validator.Session, step validator.Step) (validator.Verdict, error) {
	env, err := r.environment(session, step)
	if err != nil {
		return fail(r[0], err.Error()), nil
	}
	env[meterName] = &meter{ctx: ctx, rounds: maxRounds}
	for _, rule := range r {
		holds, err := rule.ask(env)
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

// fail is the verdict by a rule, with why in one line.
func fail(by rule, why string) validator.Verdict {
	detail := "rule " + by.name + ": " + strings.Join(strings.Fields(why), " ")
	detail = strings.ToValidUTF8(detail[:min(len(detail), validator.MaxDetailBytes)], "")
	return validator.FailWith(by.reason, detail, nil)
}
