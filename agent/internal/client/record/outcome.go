package record

import "fmt"

// An Outcome says how one step went. The zero value is NotRun.
type Outcome uint8

// The outcomes.
const (
	// NotRun: the run never came to the step.
	NotRun Outcome = iota
	// Passed: the reply to the step came in time, with code 0.
	Passed
	// Failed: the agent refused the step, for the reason that it gave.
	Failed
	// TimedOut: no reply to the step came within its timeout.
	TimedOut
	// ConnectionLost: the connection was closed or reset before the reply came.
	ConnectionLost
	// WrongReply: what came was no reply to the step.
	WrongReply
	// Unreachable: the step could not be sent, because no connection could be made.
	Unreachable
	// Unanswered: the step was sent, and the run was interrupted or cut off before it was
	// known what became of it.
	Unanswered
)

// Outcomes returns every outcome.
func Outcomes() []Outcome {
	return []Outcome{NotRun, Passed, Failed, TimedOut, ConnectionLost, WrongReply, Unreachable, Unanswered}
}

// String returns the outcome as it is written in records and reports.
func (o Outcome) String() string {
	switch o {
	case NotRun:
		return "not_run"
	case Passed:
		return "passed"
	case Failed:
		return "failed"
	case TimedOut:
		return "timed_out"
	case ConnectionLost:
		return "lost"
	case WrongReply:
		return "wrong_reply"
	case Unreachable:
		return "unreachable"
	case Unanswered:
		return "unanswered"
	default:
		return fmt.Sprintf("Outcome(%d)", uint8(o))
	}
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
	for _, known := range Outcomes() {
		if known.String() == string(text) {
			*o = known
			return nil
		}
	}
	return fmt.Errorf("%q is no outcome", text)
}

// decided reports whether the evidence says how the step went, for better or for worse.
func (o Outcome) decided() bool { return o != NotRun && o != Unanswered }

// Counts says how many steps had which outcome. Outcomes that no step had are absent.
type Counts map[Outcome]int

// A Verdict is what a run comes to. The zero value is Undecided.
type Verdict uint8

// The verdicts.
const (
	// Undecided: nothing was executed, or not everything, and nothing failed.
	Undecided Verdict = iota
	// Pass: every expected step passed, and the run finished.
	Pass
	// Fail: at least one step did not pass.
	Fail
)

// String returns the verdict as it is written in reports.
func (v Verdict) String() string {
	switch v {
	case Pass:
		return "pass"
	case Fail:
		return "fail"
	default:
		return "undecided"
	}
}

// MarshalText returns the verdict's name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }
