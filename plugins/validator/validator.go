// Package validator is the contract between stepagent and the rules that judge steps.
//
// A validator looks at one step of one session and says pass, fail or nothing at all
// (undecided). It runs in a process of its own, next to the agent; package sdk carries
// this interface over the process border. The package needs the standard library only, so
// that a validator can be written and tested with nothing else of stepagent at hand.
package validator

import (
	"context"
	"time"
)

// A Validator judges steps.
//
// Validate must be a pure function of its inputs: the same session and step give the same
// verdict. It reads no clock (all times are in the inputs), opens no connection, writes
// nothing outside its result and remembers nothing between calls; what it wants to know at
// the next step of this session it returns in Verdict.State and finds again in
// Session.State. The agent relies on that: it may stop the process at any moment, ask the
// question again in a new one, or ask it twice and compare.
//
// Validate is called by many goroutines at once, for different sessions; for one session
// there is one call at a time. It may read the slices in its arguments until it returns and
// must not change or keep them; what it returns belongs to the agent.
//
// The context ends when the agent no longer waits for the verdict. A verdict that comes
// later is thrown away.
//
// An error means undecided: the validator could not judge. The agent then tells the client
// that the fault is its own, the step takes no position, and it may be sent again. A step
// that breaks the validator's rule, however strange its values, is a verdict of Fail and
// never an error.
type Validator interface {
	Validate(ctx context.Context, session Session, step Step) (Verdict, error)
}

// An Expecter is a Validator that knows which step must come next. Implementing it is
// optional. The agent uses the answer for one purpose: to find the session of a client that
// opens a new connection for every step and names no session.
//
// Expects is asked with the session as it stands before the step in question; a session
// that has had no step has Position 0 and no State. It obeys the same law as Validate. The
// second result is false when any step id would do.
type Expecter interface {
	Expects(session Session) (stepID int64, known bool)
}

// A Session is what the agent knows of a run before the step at hand.
type Session struct {
	// ID names the session where a validator is asked in the caller's own process. The agent
	// sends it to no plugin: nothing may depend on it.
	ID string
	// Position is the number of steps of this session that have been judged; 0 at the
	// first.
	Position int
	// Steps is the number of steps after which the session ends, at least 1.
	Steps int
	// State is what this validator returned in its last verdict for this session; nil at
	// the first.
	State []byte
}

// A Step is one request of a client.
type Step struct {
	// ID is the step_id of the request: any 64-bit integer, as the client sent it.
	ID int64
	// Timeout is how long the client says it waits for the reply.
	Timeout Wait
	// Interval is how long the client says it will wait before its next step.
	Interval Wait
	// At is when the step arrived, counted from the arrival of the session's first step.
	At time.Duration
	// Gap is how long the client let pass before this step, as the agent measured it: from the
	// end of the session's last step to the arrival of this one. A step ends for the client
	// with the agent's reply, however long a fault held it back, or before that when the
	// timeout is over that the client declared; a reply that is asked for again ends it again.
	// A step that was undecided and comes again has the gap that it had at first. Absent at
	// the first step, and where a fault leaves no telling when the last one ended.
	Gap Wait
	// Data is the JSON object that the client sent along (measurements and the like), as it
	// was sent; nil when there was none.
	Data []byte
}

// A Wait is a length of time that may be absent. The zero value is an absent one.
type Wait struct {
	// Duration is never negative, and 0 when absent.
	Duration time.Duration
	// Declared tells a wait of no time from no wait declared.
	Declared bool
}

// A Verdict is a validator's answer for one step.
type Verdict struct {
	// Outcome is pass, fail or, as the zero value, undecided.
	Outcome Outcome
	// Reason is the machine-readable word for a Fail; empty otherwise.
	Reason Reason
	// Detail is one sentence for a person that says why: lower case, no full stop. For a
	// Fail.
	Detail string
	// State is handed back at the session's next step. It is replaced as a whole: nil
	// forgets. The agent keeps it in memory for each session; see MaxStateBytes.
	State []byte
	// Fault asks the agent to misbehave at this step; nil for none. The agent does so only
	// where its config allows faults.
	Fault *Fault
}

// Limits that the agent holds a verdict to. A verdict beyond one of them counts as no
// verdict.
const (
	// MaxStateBytes is the largest State that is kept for one session and validator, in
	// bytes.
	MaxStateBytes = 4096
	// MaxDetailBytes is the longest Detail, in bytes of UTF-8.
	MaxDetailBytes = 512
)

// Outcome is what a validator decided.
type Outcome uint8

// The outcomes. Undecided is the zero value and never counts as a pass.
const (
	Undecided Outcome = iota
	Pass
	Fail
)

// String returns the outcome as it is written in logs.
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

// A Reason is the machine-readable word for a failed step. The list is closed and only
// grows: clients map reasons to codes of their own.
type Reason string

// The reasons that a validator may give.
const (
	// OutOfOrder: the step id is not the one that must come now.
	OutOfOrder Reason = "out_of_order"
	// TimeoutTooShort: the declared timeout is below the threshold.
	TimeoutTooShort Reason = "timeout_too_short"
	// IntervalNotKept: the client did not wait its declared interval.
	IntervalNotKept Reason = "interval_not_kept"
	// RuleBroken: a rule of the user's own was broken; the detail says which.
	RuleBroken Reason = "rule_broken"
)

// Reasons returns every reason that a validator may give, in the order in which they came
// into being.
func Reasons() []Reason {
	return []Reason{OutOfOrder, TimeoutTooShort, IntervalNotKept, RuleBroken}
}

// PassWith is the verdict of a step in order; state is kept for the next one.
func PassWith(state []byte) Verdict { return Verdict{Outcome: Pass, State: state} }

// FailWith is the verdict of a step that breaks a rule; state is kept for the next one.
func FailWith(reason Reason, detail string, state []byte) Verdict {
	return Verdict{Outcome: Fail, Reason: reason, Detail: detail, State: state}
}
