package judge

import (
	"context"
	"fmt"

	"github.com/stepagent/stepagent/plugins/validator"
)

// A Member is a validator that runs in this process.
type Member struct {
	// Name is the validator's name in the chain.
	Name      string
	Validator validator.Validator
}

// Local returns a Group of validators that run in this process, on the caller's goroutine: to judge
// evidence offline, and for comparison. The agent itself runs validators in processes of their own.
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
		reads, _ := validator.Declared(m.Validator)
		session, _ := reads.Mask(validator.Session{Steps: 1}, validator.Step{})
		first[i] = expects(m.Validator, session)
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

// Try implements Group: nothing is cached.
func (l local) Try(*Call) ([]Answer, bool) { return nil, false }

// Tried implements Group.
func (l local) Tried(*Call, []Answer) {}

// Inline is Local for fast validators: they are asked within Try.
func Inline(members ...Member) Group { return inline{members} }

type inline struct{ local }

func (l inline) Try(call *Call) ([]Answer, bool) { return l.Judge(context.Background(), *call), true }

func answer(ctx context.Context, v validator.Validator, session validator.Session, step validator.Step) (a Answer) {
	defer func() {
		if p := recover(); p != nil {
			a = Answer{Err: fmt.Errorf("panic: %v", p)}
		}
	}()
	reads, _ := validator.Declared(v) // it gets no other inputs, as in a process of its own
	session, step = reads.Mask(session, step)
	verdict, err := v.Validate(ctx, session, step)
	if err != nil {
		return Answer{Err: err}
	}
	if reads&validator.InputPosition != 0 {
		session.Position++
	}
	session.State = verdict.State
	return Answer{Verdict: verdict, Expects: expects(v, session)}
}

// expects asks a validator which step must come next. A panic counts as no expectation; its verdicts
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
