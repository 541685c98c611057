package sdk

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
	"github.com/stepagent/stepagent/plugins/validator"
)

// An Answer is what one instance says of one step.
type Answer struct {
	// Verdict is the verdict; the zero value when Err is set.
	Verdict validator.Verdict
	// Expects is the step that must come next, where Known.
	Expects int64
	Known   bool
	// Err says why the verdict is undecided; nil otherwise.
	Err error
}

// EncodeCall returns a step as it goes to a plugin, without its number and its budget. The
// result refers to states and step.Data. Session.State is not looked at.
func EncodeCall(session validator.Session, states [][]byte, step validator.Step) *validatorv1.StepCall {
	// One allocation for what belongs together.
	m := &struct {
		call                   validatorv1.StepCall
		session                validatorv1.Session
		step                   validatorv1.Step
		timeout, interval, gap int64
	}{}
	m.session.Id = strings.ToValidUTF8(session.ID, "?")
	m.session.Position = int64(session.Position)
	m.session.Steps = int64(session.Steps)
	m.step.Id = step.ID
	m.step.AtNs = int64(step.At)
	m.step.Data = step.Data
	m.step.TimeoutNs = encodeWait(step.Timeout, &m.timeout)
	m.step.IntervalNs = encodeWait(step.Interval, &m.interval)
	m.step.GapNs = encodeWait(step.Gap, &m.gap)
	m.call.Session, m.call.Step, m.call.States = &m.session, &m.step, states
	return &m.call
}

// DecodeCall is the opposite of EncodeCall. The session is without State: each instance has
// its own among the states.
func DecodeCall(c *validatorv1.StepCall) (validator.Session, [][]byte, validator.Step) {
	s, st := c.GetSession(), c.GetStep()
	session := validator.Session{ID: s.GetId(), Position: int(s.GetPosition()), Steps: int(s.GetSteps())}
	step := validator.Step{
		ID:       st.GetId(),
		Timeout:  decodeWait(st.GetTimeoutNs(), st != nil && st.TimeoutNs != nil),
		Interval: decodeWait(st.GetIntervalNs(), st != nil && st.IntervalNs != nil),
		At:       time.Duration(st.GetAtNs()),
		Gap:      decodeWait(st.GetGapNs(), st != nil && st.GapNs != nil),
		Data:     st.GetData(),
	}
	return session, c.GetStates(), step
}

func encodeWait(w validator.Wait, at *int64) *int64 {
	if !w.Declared {
		return nil
	}
	*at = int64(w.Duration)
	return at
}

func decodeWait(ns int64, declared bool) validator.Wait {
	return validator.Wait{Duration: time.Duration(max(ns, 0)), Declared: declared}
}

// EncodeAnswer returns an answer as it goes to the agent.
func EncodeAnswer(a Answer) *validatorv1.Verdict {
	if a.Err != nil {
		return &validatorv1.Verdict{Error: errorText(a.Err)}
	}
	v := &validatorv1.Verdict{
		Outcome: validatorv1.Outcome(a.Verdict.Outcome),
		Reason:  string(a.Verdict.Reason),
		Detail:  a.Verdict.Detail,
		State:   a.Verdict.State,
	}
	if f := a.Verdict.Fault; f != nil {
		v.Fault = &validatorv1.Fault{Kind: validatorv1.FaultKind(f.Kind), DelayNs: int64(f.Delay),
			StepId: f.StepID, Code: int64(f.Code)}
	}
	if a.Known {
		v.Expects = &a.Expects
	}
	return v
}

// DecodeAnswer is the opposite of EncodeAnswer. A verdict that is not of the contract's form
// becomes an answer with an error.
func DecodeAnswer(v *validatorv1.Verdict) Answer {
	a := Answer{Expects: v.GetExpects(), Known: v != nil && v.Expects != nil}
	a.Verdict.Reason, a.Verdict.Detail, a.Verdict.State = validator.Reason(v.GetReason()), v.GetDetail(), v.GetState()
	var fault *faultRead
	if f := v.GetFault(); f != nil {
		fault = &faultRead{kind: int32(f.Kind), delay: f.DelayNs, stepID: f.StepId, code: f.Code}
	}
	a.check(int32(v.GetOutcome()), fault, v.GetError())
	return a
}

// check puts in the parts that were read apart, or makes it the answer that says what is wrong.
func (a *Answer) check(outcome int32, f *faultRead, failure string) {
	if err := a.complete(outcome, f); failure != "" {
		*a = Answer{Err: errors.New(bound(failure))}
	} else if err != nil {
		*a = malformed(err)
	}
}

func (a *Answer) complete(outcome int32, f *faultRead) error {
	if outcome < 0 || outcome > math.MaxUint8 {
		return fmt.Errorf("outcome: %d is neither pass nor fail", outcome)
	}
	a.Verdict.Outcome = validator.Outcome(outcome)
	if len(a.Verdict.State) == 0 {
		a.Verdict.State = nil
	}
	if f != nil {
		if f.kind < 0 || f.kind > math.MaxUint8 {
			return fmt.Errorf("fault: kind %d is not known", f.kind)
		}
		if int64(int(f.code)) != f.code {
			return fmt.Errorf("fault: code %d is too large for this machine", f.code)
		}
		a.Verdict.Fault = &validator.Fault{Kind: validator.FaultKind(f.kind), Delay: time.Duration(f.delay),
			StepID: f.stepID, Code: int(f.code)}
	}
	return a.Verdict.Check()
}

func malformed(err error) Answer {
	return Answer{Err: fmt.Errorf("malformed verdict: %w", err)}
}

// errorText returns what an error says in a form that the wire can carry; never empty.
func errorText(err error) string {
	if text := bound(err.Error()); text != "" {
		return text
	}
	return "undecided, with no reason given"
}

// bound cuts a text to MaxErrorBytes and to valid UTF-8.
func bound(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), MaxErrorBytes)], "")
}
