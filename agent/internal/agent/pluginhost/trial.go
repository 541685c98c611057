package pluginhost

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/stream"
	"github.com/stepagent/stepagent/plugins/sdk"
	"github.com/stepagent/stepagent/plugins/validator"
)

const (
	// trialTimeout bounds each verdict in a self-test or a trial reload.
	trialTimeout = 5 * time.Second
	// trialSteps is how many steps of a session go from the old validators to the new ones in a trial
	// reload.
	trialSteps = 3
	// trialTime bounds all steps of the old validators; those that do not answer are left out.
	trialTime = 2 * time.Second
)

// errNoVerdict ends a self-test or a trial reload.
var errNoVerdict = fmt.Errorf("no verdict within %v", trialTimeout)

// ordinaryStep returns a step without peculiarities at a position of a session.
func ordinaryStep(position int, expects judge.Expectation) (validator.Session, validator.Step) {
	const second = time.Second
	id := int64(position) + 1
	if expects.Known {
		id = expects.StepID
	}
	step := validator.Step{ID: id, At: time.Duration(position) * 2 * second,
		Timeout:  validator.Wait{Duration: 10 * second, Declared: true},
		Interval: validator.Wait{Duration: second, Declared: true}}
	if position > 0 {
		step.Gap = validator.Wait{Duration: second, Declared: true}
	}
	return validator.Session{Position: position, Steps: 10}, step
}

// selfTest has one step judged. The verdict does not matter, and a validator may be undecided, for
// instance for want of data; but the answer must keep to the contract.
func (in *instance) selfTest(ctx context.Context, members []member) error {
	var expects judge.Expectation
	if i := slices.IndexFunc(in.first, func(e judge.Expectation) bool { return e.Known }); i >= 0 {
		expects = in.first[i]
	}
	ctx, cancel := context.WithTimeoutCause(ctx, trialTimeout, errNoVerdict)
	defer cancel()
	session, step := ordinaryStep(0, expects)
	answers, err := in.stream.Judge(ctx, judge.Call{Session: session, States: make([][]byte, len(members)), Step: step})
	if err != nil {
		return fmt.Errorf("step %d, the self-test: %w", step.ID, err)
	}
	for i, a := range answers {
		if a.Err == nil {
			continue
		}
		if text := a.Err.Error(); strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "malformed verdict: ") {
			return fmt.Errorf("step %d, the self-test of validator %s: %s", step.ID, members[i].Name, stream.Shorten(text, sdk.MaxErrorBytes))
		}
	}
	return nil
}

// A trialStep is a step of a session whose earlier steps others have judged.
type trialStep struct {
	session validator.Session
	step    validator.Step
	states  map[string][]byte // that those left, by the validator's name
}

// trialReload checks that a swap in the middle of sessions breaks none of them: the old validators
// judge the first steps of a session, and the new ones continue it after each. An error names the spec
// that does not accept the state of its predecessor, the validator of the same name.
func trialReload(ctx context.Context, old, next *Set) error {
	for _, t := range old.trialSteps(ctx) {
		for _, s := range next.supervisors {
			if err := s.acceptsState(ctx, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// trialSteps has the validators in force judge the first steps of a session, and returns the step that
// follows after each. A process that does not answer, perhaps the reason for the reload, is left out
// from then on, and all are when trialTime is over.
func (s *Set) trialSteps(ctx context.Context) []trialStep {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Not a deadline: a process that misses one is taken to hang.
	defer time.AfterFunc(trialTime, cancel).Stop()
	var all []trialStep
	states, expects := map[string][]byte{}, judge.Expectation{}
	answering := slices.Clone(s.supervisors)
	for position := range trialSteps {
		session, step := ordinaryStep(position, expects)
		expects = judge.Expectation{}
		answering = slices.DeleteFunc(answering, func(v *supervisor) bool {
			answers, err := v.try(ctx, trialStep{session, step, states})
			for i, a := range answers {
				name := v.group.names[i]
				if a.Err != nil {
					delete(states, name)
					continue
				}
				states[name] = a.Verdict.State
				if !expects.Known {
					expects = a.Expects
				}
			}
			return err != nil
		})
		session, step = ordinaryStep(position+1, expects)
		all = append(all, trialStep{session, step, maps.Clone(states)})
	}
	return all
}

// try has the validators of one process judge a step.
func (s *supervisor) try(ctx context.Context, t trialStep) ([]judge.Answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, trialTimeout, errNoVerdict)
	defer cancel()
	states := make([][]byte, len(s.group.names))
	for i, name := range s.group.names {
		states[i] = t.states[name]
	}
	return s.group.Again(ctx, judge.Call{Session: t.session, States: states, Step: t.step})
}

// acceptsState checks that the validators of one process judge the step with the states of their
// predecessors. One that is undecided must be so without a state as well.
func (s *supervisor) acceptsState(ctx context.Context, t trialStep) error {
	members := s.plugin.members
	with, err := s.try(ctx, t)
	if err != nil {
		return members[0].wrong("", "gave no verdict when it was tried: %v", err)
	}
	var without []judge.Answer
	for i, a := range with {
		if a.Err == nil || len(t.states[members[i].Name]) == 0 {
			continue
		}
		if without == nil {
			without, _ = s.try(ctx, trialStep{session: t.session, step: t.step})
		}
		if without[i].Err == nil {
			return members[i].wrong("", "cannot continue the open sessions, as it does not accept the state of the validator %s "+
				"in force: %v; give it another name with as, and it starts anew in each of them",
				members[i].Name, a.Err)
		}
	}
	return nil
}
