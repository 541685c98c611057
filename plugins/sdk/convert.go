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

// An Answer is the result of one instance for one step.
type Answer struct {
	// Verdict is the zero value if Err is set.
	Verdict validator.Verdict
	// Expects is the step that must come next, if Known.
	Expects int64
	Known   bool
	// Err says why the verdict is undecided; nil otherwise.
	Err error
}

// EncodeCall encodes a step for a plugin, without the number and the budget of the call. The result
// shares states and step.Data. Session.ID and Session.State are not used.
func EncodeCall(session validator.Session, states [][]byte, step validator.Step) *validatorv1.StepCall {
	var m struct { // one allocation
		call                   validatorv1.StepCall
		session                validatorv1.Session
		step                   validatorv1.Step
		timeout, interval, gap int64
	}
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

// DecodeCall is the inverse of EncodeCall. The session has no State: each instance has its own in the
// states.
func DecodeCall(c *validatorv1.StepCall) (validator.Session, [][]byte, validator.Step) {
	s, st := c.GetSession(), c.GetStep()
	session := validator.Session{Position: int(s.GetPosition()), Steps: int(s.GetSteps())}
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

// EncodeAnswer encodes an answer for the agent.
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

// DecodeAnswer is the inverse of EncodeAnswer. A malformed verdict becomes an answer with an error.
func DecodeAnswer(v *validatorv1.Verdict) Answer {
	if failure := v.GetError(); failure != "" {
		return Answer{Err: errors.New(bound(failure))}
	}
	verdict, err := decodeVerdict(v)
	if err == nil {
		err = verdict.Check()
	}
	if err != nil {
		return malformed(err)
	}
	return Answer{Verdict: verdict, Expects: v.GetExpects(), Known: v != nil && v.Expects != nil}
}

func decodeVerdict(v *validatorv1.Verdict) (validator.Verdict, error) {
	verdict := validator.Verdict{Reason: validator.Reason(v.GetReason()), Detail: v.GetDetail()}
	if outcome := v.GetOutcome(); outcome < 0 || outcome > math.MaxUint8 {
		return verdict, fmt.Errorf("outcome: %d is neither pass nor fail", outcome)
	}
	verdict.Outcome = validator.Outcome(v.GetOutcome())
	if len(v.GetState()) > 0 {
		verdict.State = v.GetState()
	}
	f := v.GetFault()
	if f == nil {
		return verdict, nil
	}
	if f.GetKind() < 0 || f.GetKind() > math.MaxUint8 {
		return verdict, fmt.Errorf("fault: kind %d is not known", f.GetKind())
	}
	if int64(int(f.GetCode())) != f.GetCode() {
		return verdict, fmt.Errorf("fault: code %d is too large for this machine", f.GetCode())
	}
	verdict.Fault = &validator.Fault{Kind: validator.FaultKind(f.GetKind()), Delay: time.Duration(f.GetDelayNs()),
		StepID: f.GetStepId(), Code: int(f.GetCode())}
	return verdict, nil
}

// inputs maps the numbers of inputs on the wire to inputs.
var inputs = [...]validator.Inputs{
	validatorv1.Input_INPUT_POSITION: validator.InputPosition,
	validatorv1.Input_INPUT_STEPS:    validator.InputSteps,
	validatorv1.Input_INPUT_STEP_ID:  validator.InputStepID,
	validatorv1.Input_INPUT_TIMEOUT:  validator.InputTimeout,
	validatorv1.Input_INPUT_INTERVAL: validator.InputInterval,
	validatorv1.Input_INPUT_AT:       validator.InputAt,
	validatorv1.Input_INPUT_GAP:      validator.InputGap,
	validatorv1.Input_INPUT_DATA:     validator.InputData,
}

// EncodeReads encodes declared inputs for the agent.
func EncodeReads(reads validator.Inputs) *validatorv1.Inputs {
	m := &validatorv1.Inputs{}
	for number, input := range inputs {
		if reads&input != 0 {
			m.Inputs = append(m.Inputs, validatorv1.Input(number))
		}
	}
	return m
}

// DecodeReads is the inverse of EncodeReads. It returns AllInputs and false if there is no declaration or
// one of its inputs is unknown.
func DecodeReads(m *validatorv1.Inputs) (reads validator.Inputs, declared bool) {
	if m == nil {
		return validator.AllInputs, false
	}
	for _, number := range m.GetInputs() {
		if number <= 0 || int(number) >= len(inputs) {
			return validator.AllInputs, false
		}
		reads |= inputs[number]
	}
	return reads, true
}

func malformed(err error) Answer {
	return Answer{Err: fmt.Errorf("malformed verdict: %w", err)}
}

// errorText returns the text of an error, bounded and never empty.
func errorText(err error) string {
	if text := bound(err.Error()); text != "" {
		return text
	}
	return "undecided, with no reason given"
}

// bound shortens a text to MaxErrorBytes of valid UTF-8.
func bound(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), MaxErrorBytes)], "")
}
