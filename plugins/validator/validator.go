// Package validator is the contract between stepagent and the rules that judge steps.
//
// A validator judges one step of one session: pass, fail or undecided. It runs in a process of its
// own, next to the agent; package sdk connects the two. This package needs the standard library
// only, so that a validator can be written and tested without the rest of stepagent.
package validator

import (
	"context"
	"time"
)

// A Validator judges steps.
//
// Validate must be a pure function of its inputs: the same session and step give the same verdict. It
// reads no clock (all times are in the inputs), opens no connection, writes nothing outside its
// result and remembers nothing between calls. What it needs at the next step of the session it
// returns in Verdict.State, which the agent passes back in Session.State. The agent relies on
// this: it may kill the process at any time, repeat a call in a new process, or repeat it and
// compare the verdicts.
//
// Goroutines call Validate concurrently for different sessions; for one session there is one call at a
// time. Validate may read the slices in its arguments until it returns, and must not change or
// keep them. The agent owns what it returns.
//
// The context ends when the agent no longer waits for the verdict; a later verdict is discarded.
//
// An error means undecided: the validator could not judge. The agent then tells the client that the
// error is on its side; the step takes no position and may be sent again. A step that breaks the
// validator's rule is a verdict of Fail and never an error, however strange its values are.
type Validator interface {
	Validate(ctx context.Context, session Session, step Step) (Verdict, error)
}

// An Expecter is a Validator that knows which step must come next. Implementing it is optional. The
// agent uses the answer only to find the session of a client that opens a new connection for every
// step and names no session.
//
// The argument of Expects is the session before that step; a session without steps has Position 0 and
// no State. Expects is a pure function, as Validate is. known is false if any step id is allowed.
type Expecter interface {
	Expects(session Session) (stepID int64, known bool)
}

// A Session is the state of a run before the step.
type Session struct {
	// ID is the name of the session, for callers in the same process. The agent does not send it
	// to plugins; a verdict must not depend on it.
	ID string
	// Position is the number of judged steps of the session; 0 at the first step.
	Position int
	// Steps is the number of steps after which the session ends, at least 1.
	Steps int
	// State is the Verdict.State of this validator for the session's last step; nil at the first.
	State []byte
}

// A Step is one request of a client.
type Step struct {
	// ID is the step_id of the request: any 64-bit integer.
	ID int64
	// Timeout is how long the client waits for the reply, as it declares.
	Timeout Wait
	// Interval is how long the client will wait before its next step, as it declares.
	Interval Wait
	// At is the time from the arrival of the session's first step to that of this step.
	At time.Duration
	// Gap is the time between the session's last step and this one, measured by the agent: from the
	// end of the last step to the arrival of this one. A step ends with the agent's reply, even
	// if a fault delays it, or at the declared timeout if that is earlier; a repeated reply ends
	// it again. A repeated step that was undecided keeps its first gap. Gap is absent at the
	// first step, and after a fault that hides when the last step ended.
	Gap Wait
	// Data is the JSON object in the request's field data, such as measurements, as sent; nil if
	// there is none.
	Data []byte
}

// A Wait is an optional duration. The zero value is absent.
type Wait struct {
	// Duration is never negative, and 0 if absent.
	Duration time.Duration
	// Declared is false for an absent wait, and true for a wait of 0.
	Declared bool
}

// A Verdict is a validator's result for one step.
type Verdict struct {
	// Outcome is pass, fail or, as the zero value, undecided.
	Outcome Outcome
	// Reason is the machine-readable reason of a Fail; empty otherwise.
	Reason Reason
	// Detail explains a Fail to a person, in one sentence: lower case, no full stop.
	Detail string
	// State is passed back at the session's next step. It replaces the previous State; nil clears
	// it. The agent keeps it in memory for each session; see MaxStateBytes.
	State []byte
	// Fault asks the agent to misbehave at this step; nil for none. The agent does so only if its
	// config allows faults.
	Fault *Fault
}

// Limits of a verdict. The agent treats a verdict beyond one of them as undecided.
const (
	// MaxStateBytes is the length of the longest State, in bytes.
	MaxStateBytes = 4096
	// MaxDetailBytes is the length of the longest Detail, in bytes of UTF-8.
	MaxDetailBytes = 512
)

// Outcome is the decision of a validator.
type Outcome uint8

// The outcomes. Undecided is the zero value and never counts as a pass.
const (
	Undecided Outcome = iota
	Pass
	Fail
)

// String returns the name of the outcome in logs.
func (o Outcome) String() string {
	switch o {
	case Pass:
		return "pass"
	case Fail:
		return "fail"
	default:
		return "undecided"
	}
}

// A Reason is the machine-readable reason of a failed step. The list only grows: clients map reasons to
// codes of their own.
type Reason string

// The reasons that a validator may give.
const (
	// OutOfOrder: the step id is not the expected one.
	OutOfOrder Reason = "out_of_order"
	// TimeoutTooShort: the declared timeout is below the threshold.
	TimeoutTooShort Reason = "timeout_too_short"
	// IntervalNotKept: the client did not keep its declared interval.
	IntervalNotKept Reason = "interval_not_kept"
	// RuleBroken: a user's own rule is broken; the detail says which.
	RuleBroken Reason = "rule_broken"
)

// Reasons returns every reason that a validator may give, oldest first.
func Reasons() []Reason {
	return []Reason{OutOfOrder, TimeoutTooShort, IntervalNotKept, RuleBroken}
}

// PassWith returns a pass; state is passed back at the next step.
func PassWith(state []byte) Verdict { return Verdict{Outcome: Pass, State: state} }

// FailWith returns a fail; state is passed back at the next step.
func FailWith(reason Reason, detail string, state []byte) Verdict {
	return Verdict{Outcome: Fail, Reason: reason, Detail: detail, State: state}
}
