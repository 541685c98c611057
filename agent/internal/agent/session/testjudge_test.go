package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/mintimeout"
	"github.com/stepagent/stepagent/plugins/sequence"
	"github.com/stepagent/stepagent/plugins/validator"
)

// An order is what a test tells the validator "obedient" to do with one step: the step's
// data.
type order struct {
	Undecided bool
	Panic     string
	Takes     time.Duration
	Delay     time.Duration // asks for a fault
}

func (o order) data() []byte {
	data, _ := json.Marshal(o) // plain values always can be
	return data
}

// obedient is a validator that does as the step's data says.
type obedient struct{}

func (obedient) Validate(ctx context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
	var o order
	if step.Data != nil {
		if err := json.Unmarshal(step.Data, &o); err != nil {
			return validator.Verdict{}, err
		}
	}
	if o.Takes > 0 {
		select {
		case <-time.After(o.Takes):
		case <-ctx.Done():
			return validator.Verdict{}, context.Cause(ctx)
		}
	}
	if o.Undecided {
		return validator.Verdict{}, errors.New("told to be undecided")
	}
	verdict := validator.PassWith(nil)
	if o.Delay > 0 {
		verdict.Fault = &validator.Fault{Kind: validator.FaultDelay, Delay: o.Delay}
	}
	return verdict, nil
}

// chain makes the validators of the tests: sequence, min_timeout and obedient, in two groups.
func chain(t rapid.TB, mode string, generation uint64, at cached) *judge.Chain {
	t.Helper()
	order, err := sequence.New(fmt.Appendf(nil, `{"after_bad_step":%q}`, mode))
	if err != nil {
		t.Fatal(err)
	}
	timeout, err := mintimeout.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return judge.NewChain(
		judge.Options{
			Generation:  generation,
			Limits:      judge.Limits{Floor: time.Second, Cap: 30 * time.Second},
			AllowFaults: true,
		},
		tried{judge.Local(judge.Member{Name: "sequence", Validator: order}), 0, at},
		tried{judge.Local(
			judge.Member{Name: "min_timeout", Validator: timeout},
			judge.Member{Name: "obedient", Validator: obedient{}},
		), 1, at},
	)
}

// A meddling Judge does what no validator can: it panics where a step's data says so, and
// runs the agent's function.
type meddling struct{ *agent }

func (m meddling) First() judge.Expectation {
	if run := m.first.Swap(nil); run != nil {
		(*run)()
	}
	return m.judge.First()
}

func (m meddling) Judge(ctx context.Context, s judge.Session, step judge.Step) judge.Judgement {
	meddle(step)
	return m.judge.Judge(ctx, s, step)
}

func (m meddling) Try(s judge.Session, step judge.Step) (judge.Judgement, bool) {
	meddle(step)
	return m.judge.Try(s, step)
}

func meddle(step judge.Step) {
	if o := orderOf(step.Step); o.Panic != "" {
		panic(o.Panic)
	}
}
