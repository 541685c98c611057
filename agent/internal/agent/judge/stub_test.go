package judge_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/validator"
)

// A stub is a Group whose answers the test gives.
type stub struct {
	names   []string
	first   []judge.Expectation
	answers func(ctx context.Context, call judge.Call) []judge.Answer
	// try is Try, tried is Tried; with a nil try no answer is cached.
	try   func(call judge.Call) ([]judge.Answer, bool)
	tried func(call judge.Call, answers []judge.Answer)
}

func (s *stub) Names() []string            { return s.names }
func (s *stub) First() []judge.Expectation { return s.first }
func (s *stub) Judge(ctx context.Context, call judge.Call) []judge.Answer {
	return s.answers(ctx, call)
}

func (s *stub) Try(call *judge.Call) ([]judge.Answer, bool) {
	if s.try == nil {
		return nil, false
	}
	return s.try(*call)
}

func (s *stub) Tried(call *judge.Call, answers []judge.Answer) {
	if s.tried != nil {
		s.tried(*call, answers)
	}
}

// saying is a stub with one name for each answer.
func saying(names []string, answers ...judge.Answer) *stub {
	return &stub{names: names, answers: func(context.Context, judge.Call) []judge.Answer { return answers }}
}

// cached is saying with cached answers.
func cached(names []string, answers ...judge.Answer) *stub {
	s := saying(names, answers...)
	s.try = func(judge.Call) ([]judge.Answer, bool) { return answers, true }
	return s
}

func pass(state string) judge.Answer {
	return judge.Answer{Verdict: validator.PassWith([]byte(state))}
}

func fail(reason validator.Reason, detail, state string) judge.Answer {
	return judge.Answer{Verdict: validator.FailWith(reason, detail, []byte(state))}
}

func none(why string) judge.Answer { return judge.Answer{Err: errors.New(why)} }

func expecting(a judge.Answer, stepID int64) judge.Answer {
	a.Expects = judge.Expectation{StepID: stepID, Known: true}
	return a
}

func faulty(a judge.Answer, kind validator.FaultKind) judge.Answer {
	a.Verdict.Fault = &validator.Fault{Kind: kind}
	return a
}

// judgeBy has one step judged by the groups.
func judgeBy(t *testing.T, o judge.Options, memory judge.Memory, groups ...judge.Group) judge.Judgement {
	t.Helper()
	return judge.New(judge.NewChain(o, groups...)).Judge(t.Context(),
		judge.Session{ID: "s", Position: 3, Steps: 10, Memory: memory}, judge.Step{})
}

// remembered returns the states that a memory holds for the names: what the validators of
// the next step would be given.
func remembered(t *testing.T, memory judge.Memory, names ...string) map[string]string {
	t.Helper()
	states := map[string]string{}
	s := &stub{names: names}
	s.answers = func(_ context.Context, call judge.Call) []judge.Answer {
		answers := make([]judge.Answer, len(names))
		for i, name := range names {
			if call.States[i] != nil {
				states[name] = string(call.States[i])
			}
			answers[i] = pass("")
		}
		return answers
	}
	judgeBy(t, judge.Options{}, memory, s)
	return states
}
