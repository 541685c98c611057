package judge

import (
	"context"
	"fmt"

	"github.com/stepagent/stepagent/plugins/validator"
)

// A Member is a validator that runs in this very process.
type Member struct {
	// Name is the validator's name in the chain.
	Name      string
	Validator validator.Validator
}

// Local returns a Group of validators that run in this process, on the caller's goroutine:
// to judge evidence again offline, and to compare with. The agent itself never trusts a
// validator that far.
func Local(members ...Member) Group { return local(members) }

type local []Member

func (l local) Names() []string {
	names := make([]string, len(l))
	for i, m := range l {
		names[i] = m.Name
	}
	return names
}

func (l local) First() []Expectation {
	first := make([]Expectation, len(l))
	for i, m := range l {
		first[i] = expects(m.Validator, validator.Session{Steps: 1})
	}
	return first
}

func (l local) Judge(ctx context.Context, call Call) []Answer {
	answers := make([]Answer, len(l))
	for i, m := range l {
		session := call.Session
		session.State = call.States[i]
		answers[i] = answer(ctx, m.Validator, session, call.Step)
	}
	return answers
}

// Inline is Local for validators that are known to take no time: a step is judged within
// Start.
func Inline(members ...Member) Starter { return inline{members} }

type inline struct{ local }

func (l inline) Start(bound Bound, call Call, to Receiver, index int) {
	ctx := bound.Context()
	defer ctx.Release()
	to.Receive(index, l.Judge(ctx, call))
}

func (l inline) Flush() {}

func answer(ctx context.Context, v validator.Validator, session validator.Session, step validator.Step) (a Answer) {
	defer func() {
		if p := recover(); p != nil {
			a = Answer{Err: fmt.Errorf("panic: %v", p)}
		}
	}()
	verdict, err := v.Validate(ctx, session, step)
	if err != nil {
		return Answer{Err: err}
	}
	session.Position++
	session.State = verdict.State
	return Answer{Verdict: verdict, Expects: expects(v, session)}
}

// expects asks a validator what must come next. One that panics does not know; its verdicts
// count all the same.
func expects(v validator.Validator, session validator.Session) (what Expectation) {
	defer func() {
		if recover() != nil {
			what = Expectation{}
		}
	}()
	e, ok := v.(validator.Expecter)
	if !ok {
		return Expectation{}
	}
	id, known := e.Expects(session)
	return Expectation{StepID: id, Known: known}
}
