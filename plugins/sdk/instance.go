package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
	"github.com/stepagent/stepagent/plugins/validator"
)

// An instance is a validator with its settings. A panic of the validator affects only its call.
type instance struct {
	name      string
	validator validator.Validator
	expecter  validator.Expecter // nil if the validator is none
	reads     validator.Inputs
	declared  bool // the validator is a Declarer
	stderr    io.Writer
}

func newInstance(name string, factory validator.Factory, settings []byte, stderr io.Writer) (in instance, err error) {
	in = instance{name: name, stderr: stderr}
	defer in.recovered(&err)
	if in.validator, err = factory(settings); err != nil {
		return in, err
	}
	if in.validator == nil {
		return in, errors.New("the plugin made no validator of these settings; its factory returned nil")
	}
	in.expecter, _ = in.validator.(validator.Expecter)
	in.reads, in.declared = validator.Declared(in.validator)
	return in, nil
}

// judge calls the validator with its declared inputs, even if other instances of the process have more.
func (in *instance) judge(ctx context.Context, session validator.Session, step validator.Step) (a Answer) {
	defer in.recovered(&a.Err)
	session, step = in.reads.Mask(session, step)
	verdict, err := in.validator.Validate(ctx, session, step)
	if err != nil {
		// The method Error of the author's type may panic, so that it is called here.
		return Answer{Err: errors.New(errorText(err))}
	}
	// The agent checks too, but a malformed verdict, such as a huge one, would end the stream for all.
	if err := verdict.Check(); err != nil {
		return malformed(err)
	}
	if in.expecter == nil {
		return Answer{Verdict: verdict}
	}
	if in.reads&validator.InputPosition != 0 {
		session.Position++
	}
	session.State = verdict.State
	id, known := in.expecter.Expects(session)
	return Answer{Verdict: verdict, Expects: id, Known: known}
}

// expects calls Expects if the validator has it.
func (in *instance) expects(session validator.Session) (id int64, known bool, err error) {
	if in.expecter == nil {
		return 0, false, nil
	}
	defer in.recovered(&err)
	session, _ = in.reads.Mask(session, validator.Step{})
	id, known = in.expecter.Expects(session)
	return id, known, nil
}

// recovered, deferred, turns a panic into an error.
func (in *instance) recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v", p)
		if in.stderr != nil {
			// An error means that stderr is closed.
			_, _ = fmt.Fprintf(in.stderr, "validator %s: panic: %v\n%s", in.name, p, debug.Stack())
		}
	}
}

// judgeAll puts one step to every instance, one after the other.
func judgeAll(ctx context.Context, instances []instance, call *validatorv1.StepCall) *validatorv1.StepVerdicts {
	session, states, step := DecodeCall(call)
	answer := &validatorv1.StepVerdicts{Call: call.GetCall(), Verdicts: make([]*validatorv1.Verdict, len(instances))}
	for i := range instances {
		session.State = nil
		if i < len(states) && len(states[i]) > 0 {
			session.State = states[i]
		}
		answer.Verdicts[i] = EncodeAnswer(instances[i].judge(ctx, session, step))
	}
	return answer
}
