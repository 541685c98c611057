package pluginhost

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/sdk"
	"github.com/stepagent/stepagent/plugins/validator"
)

const (
	// selfTestTime is how long a verdict may take in a self-test or a rehearsal.
	selfTestTime = 5 * time.Second
	// rehearsedSteps is how many steps of a made-up session go from the old validators to the
	// new ones.
	rehearsedSteps = 3
	// rehearsalTime is how long the old validators may take for all of that; those that do not
	// answer are left out.
	rehearsalTime = 2 * time.Second
)

// errNoVerdict is why a self-test or a rehearsal is given up.
var errNoVerdict = fmt.Errorf("no verdict within %v", selfTestTime)

// probe returns the most ordinary of steps, at the given place of a session.
func probe(position int, expects judge.Expectation) (validator.Session, validator.Step) {
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

// selfTest has one step judged. What the verdict is does not matter, and a validator may be
// undecided, for instance for want of data; but an answer of the contract's form must come.
func (l *launching) selfTest(ctx context.Context) error {
	var expects judge.Expectation
	for _, e := range l.first {
		if e.Known {
			expects = e
			break
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, selfTestTime, errNoVerdict)
	defer cancel()
	session, step := probe(0, expects)
	answers, err := l.link.judge(ctx, judge.Call{Session: session, States: make([][]byte, len(l.members)), Step: step})
	if err != nil {
		return fmt.Errorf("step %d, the self-test: %w", step.ID, err)
	}
	for i, a := range answers {
		if a.Err == nil {
			continue
		}
		if text := a.Err.Error(); strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "malformed verdict: ") {
			return fmt.Errorf("step %d, the self-test of validator %s: %s", step.ID, l.members[i].Name, brief(text, sdk.MaxErrorBytes))
		}
	}
	return nil
}

// A scene is what new validators are to go on with: the next step of a session, and what their
// predecessors have left behind so far.
type scene struct {
	session validator.Session
	step    validator.Step
	states  map[string][]byte
}

// rehearse has the validators in force judge the beginning of a session and those that are
// to follow them go on with it, so that a swap in the middle of sessions costs none of them:
// validators of the same name inherit the state. An error says which of the specs does not
// know what to do with what it inherits.
func rehearse(ctx context.Context, old, next *Set) error {
	for _, sc := range old.scenes(ctx) {
		for _, s := range next.supervisors {
			if err := s.inherits(ctx, sc); err != nil {
				return err
			}
		}
	}
	return nil
}

// scenes has the validators in force judge the beginning of a session. Whoever does not answer
// is left out from then on, and all are when the time is over: they may be what is to be replaced.
func (s *Set) scenes(ctx context.Context) []scene {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// No deadline: a plugin that misses one is taken to hang.
	defer time.AfterFunc(rehearsalTime, cancel).Stop()
	var all []scene
	states, expects := map[string][]byte{}, judge.Expectation{}
	left := slices.Clone(s.supervisors)
	for position := range rehearsedSteps {
		session, step := probe(position, expects)
		expects = judge.Expectation{}
		left = slices.DeleteFunc(left, func(v *supervisor) bool {
			answers, err := v.try(ctx, scene{session, step, states})
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
		session, step = probe(position+1, expects)
		all = append(all, scene{session, step, maps.Clone(states)})
	}
	return all
}

// try puts a step to the validators of one process, which have plenty of time.
func (s *supervisor) try(ctx context.Context, sc scene) ([]judge.Answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, selfTestTime, errNoVerdict)
	defer cancel()
	return s.group.Again(ctx, judge.Call{Session: sc.session, States: inherited(s.group, sc.states), Step: sc.step})
}

// inherits puts the step to the validators of one process with what they inherit. Whoever is
// undecided then must be so with nothing, too.
func (s *supervisor) inherits(ctx context.Context, sc scene) error {
	with, err := s.try(ctx, sc)
	if err != nil {
		return s.members[0].wrong("", "gave no verdict when it was tried: %v", err)
	}
	var without []judge.Answer
	for i, a := range with {
		if a.Err == nil || len(sc.states[s.group.names[i]]) == 0 {
			continue
		}
		if without == nil {
			without, _ = s.try(ctx, scene{session: sc.session, step: sc.step})
		}
		if without[i].Err == nil {
			return s.members[i].wrong("", "cannot go on with the sessions that are open, as it does not take the state "+
				"of the validator %s in force: %v; give it another name with as, and it begins anew in each of them",
				s.group.names[i], a.Err)
		}
	}
	return nil
}

// inherited returns the states of a group's validators.
func inherited(g *group, states map[string][]byte) [][]byte {
	own := make([][]byte, len(g.names))
	for i, name := range g.names {
		own[i] = states[name]
	}
	return own
}
