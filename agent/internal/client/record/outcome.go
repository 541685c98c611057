package record

import (
	"fmt"
	"slices"
)

// An Outcome is the outcome of one step. The zero value is NotRun.
type Outcome uint8

// The outcomes.
const (
	// NotRun: the run did not reach the step.
	NotRun Outcome = iota
	// Passed: the reply to the step came in time, with code 0.
	Passed
	// Failed: the agent refused the step.
	Failed
	// TimedOut: no reply to the step came within its timeout.
	TimedOut
	// ConnectionLost: the connection was closed or reset before the reply came.
	ConnectionLost
	// WrongReply: the message that came does not answer the step.
	WrongReply
	// Unreachable: connecting failed, so the step was not sent, or the agent refused the connection.
	Unreachable
	// Unanswered: the step was sent, and the run was interrupted or killed before it was settled.
	Unanswered
)

// outcomeNames are the names of the outcomes in records and reports.
var outcomeNames = [...]string{
	NotRun: "not_run", Passed: "passed", Failed: "failed", TimedOut: "timed_out", ConnectionLost: "lost",
	WrongReply: "wrong_reply", Unreachable: "unreachable", Unanswered: "unanswered",
}

// Outcomes returns all outcomes.
func Outcomes() []Outcome {
	return []Outcome{NotRun, Passed, Failed, TimedOut, ConnectionLost, WrongReply, Unreachable, Unanswered}
}

// String returns the name of the outcome in records and reports.
func (o Outcome) String() string {
	if o > Unanswered {
		return fmt.Sprintf("Outcome(%d)", uint8(o))
	}
	return outcomeNames[o]
}

// MarshalText returns the outcome's name.
func (o Outcome) MarshalText() ([]byte, error) {
	if o > Unanswered {
		return nil, fmt.Errorf("no outcome has the number %d", uint8(o))
	}
	return []byte(o.String()), nil
}

// UnmarshalText accepts the name of an outcome.
func (o *Outcome) UnmarshalText(text []byte) error {
	i := slices.Index(outcomeNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("%q is no outcome", text)
	}
	*o = Outcome(i)
	return nil
}

// decided reports whether the step passed or failed.
func (o Outcome) decided() bool { return o != NotRun && o != Unanswered }

// Counts has the number of steps of each outcome. Outcomes without steps are absent.
type Counts map[Outcome]int

// A Verdict is the verdict of a run. The zero value is Undecided.
type Verdict uint8

// The verdicts.
const (
	// Undecided: not every step was performed, and none failed.
	Undecided Verdict = iota
	// Pass: every expected step passed, and the run finished.
	Pass
	// Fail: at least one step did not pass.
	Fail
)

// String returns the name of the verdict in reports.
func (v Verdict) String() string { return [...]string{"undecided", "pass", "fail"}[v] }

// MarshalText returns the verdict's name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }
