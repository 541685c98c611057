package record

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A Resumed says how a run went on that had been interrupted, such as when stepctl was killed.
type Resumed struct {
	// Away is the time between the last event of the interrupted run and this one, on the wall clock.
	Away time.Duration `json:"away"`
	// Time is the wall-clock time at which the run went on.
	Time time.Time `json:"time"`
	// Address is the agent's host and port from here on; empty if it is that of the start.
	Address string `json:"address"`
	// Addresses are those of all agents that the run may go on with, in order; empty for one alone.
	Addresses []string `json:"addresses"`
}

// A Resumption is a Resumed with the place of it in the procedure.
type Resumption struct {
	Resumed
	// Next is the index of the step with which the run went on; one more than there are steps if
	// every step was settled.
	Next int
	// Sent says that this step had been sent before the interruption. It is sent again.
	Sent bool
}

// resumed handles the event after an interruption, whose end may have been recorded. before is the time
// of the event before it.
func (f *folder) resumed(e *Event, before time.Duration) string {
	switch {
	case e.Resumed == nil:
		return "a resumption of which nothing is said"
	case f.run.Start.Session == "":
		return "a run without a session cannot be resumed"
	case e.Resumed.Away < 0 || e.At-before < e.Resumed.Away:
		return fmt.Sprintf("the run is said to have been interrupted for %s, and %s have passed", e.Resumed.Away, e.At-before)
	}
	r := Resumption{Resumed: *e.Resumed, Next: f.begun + 1}
	if f.begun > 0 {
		step := &f.run.Steps[f.begun-1]
		f.unrecovered(&Event{At: before}, step)
		if r.Sent = step.Outcome == Unanswered; r.Sent || step.Outcome == NotRun {
			r.Next = f.begun
		}
	}
	f.run.Cause, f.run.Address = "", cmp.Or(r.Address, f.run.Start.Address)
	f.refused, f.reopened = false, f.begun
	f.run.Resumptions = append(f.run.Resumptions, r)
	return ""
}

// toResend reports whether a step was waiting for its reply when the run was interrupted, and has not
// been sent again.
func (f *folder) toResend(step *StepResult) bool {
	return step.Index == f.reopened && step.Outcome == Unanswered
}

// sentAgain handles the first sending of such a step after the interruption.
func (f *folder) sentAgain(e *Event, step *StepResult) string {
	if e.Req != step.Req {
		return fmt.Sprintf("step %d is sent again as req %s, it was sent as %s", e.Index, name(e.Req), name(step.Req))
	}
	f.goesTo(e, step)
	f.recovered(e, step)
	f.reopened, step.SentAt, step.AwayInTook = 0, e.At, 0
	step.Tries++
	return ""
}

// SessionGone reports whether the agent certainly had no session any more when the run was last resumed:
// it refused the next step, and said that the first step of the procedure must come.
func (r Run) SessionGone() bool {
	if len(r.Resumptions) == 0 {
		return false
	}
	return r.missedFirst(r.Resumptions[len(r.Resumptions)-1].Next)
}

// missedFirst reports whether an agent refused the step at an index, and said that the first step of the
// procedure must come, which is another.
func (r Run) missedFirst(index int) bool {
	if index < 2 || index > len(r.Steps) {
		return false
	}
	step, first := r.Steps[index-1], r.Steps[0].StepID
	expected := fmt.Sprintf("step %d must come now, got %d", first, step.StepID) // by validator sequence
	return step.Outcome == Failed && step.Reason == protocol.OutOfOrder && step.StepID != first && strings.HasPrefix(step.Detail, expected)
}
