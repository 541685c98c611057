package record

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// An EventError reports an event that contradicts those before it. Such a record is damaged and must
// not be trusted.
type EventError struct {
	// Event is the number of the event, from 1: in a file, the number of its line.
	Event int
	// Problem says what is wrong.
	Problem string
}

// Error returns number and problem.
func (e *EventError) Error() string { return fmt.Sprintf("event %d: %s", e.Event, e.Problem) }

// Fold computes the result of a run from its events. It is the only place where a verdict is
// computed.
//
// Fold checks that the events are consistent: a step starts after the one before it is settled and
// its interval has passed, is settled once, and passes only by its own reply, in time, with code 0. A
// step that was waiting for its reply when the run was interrupted is sent again after KindResumed.
// If events are missing, duplicated or out of order, Fold returns an *EventError and the zero Run,
// whose verdict is undecided. A record without an end, because the client was killed or is still
// running, is not an error; see Run.Cut.
func Fold(events []Event) (Run, error) {
	if len(events) == 0 {
		return Run{}, &EventError{Event: 1, Problem: "there is no event, a record begins with its start"}
	}
	f := &folder{}
	for i := range events {
		if problem := f.event(&events[i]); problem != "" {
			return Run{}, &EventError{Event: i + 1, Problem: problem}
		}
	}
	return f.result(), nil
}

// A folder is the state of Fold. Its methods return the problem of an event; empty for none.
type folder struct {
	run     Run
	started bool
	begun   int  // index of the latest step that was started
	broken  bool // an interval was too short, after which no step may start
	refused bool // a step was sent over a connection that was then refused, which ends the run
	// reopened is the latest step when the run was resumed: it may be sent once more if it has no
	// reply, or be waited for once more if its interval was too short. 0 means none.
	reopened int
	outage   outage
	// awayUntil is the end of the last outage that was counted.
	awayUntil time.Duration
}

// result returns the result of the events so far.
func (f *folder) result() Run {
	f.run.Counts = f.counts()
	f.run.Verdict = f.verdict()
	f.run.Reconnects, f.run.Away = 0, 0
	for i := range f.run.Steps {
		f.run.Reconnects += f.run.Steps[i].Reconnects
		f.run.Away += f.run.Steps[i].Away
	}
	return f.run
}

func (f *folder) event(e *Event) string {
	switch {
	case !f.started:
		return f.start(e)
	case !f.run.Cut() && (e.Kind != KindResumed || f.run.Cause != Interrupted):
		return fmt.Sprintf("%s after the end", e.Kind)
	case e.At < f.run.Duration:
		return "its time is before that of the event before it"
	}
	before := f.run.Duration
	f.run.Duration = e.At
	f.addAgent(e)
	switch e.Kind {
	case KindEnd:
		return f.end(e)
	case KindTLS:
		return f.secured(e)
	case KindResumed:
		return f.resumed(e, before)
	case KindDropped:
		if e.Count < 1 || e.Count > math.MaxInt-f.run.Dropped {
			return fmt.Sprintf("%d is no number of dropped messages", e.Count)
		}
		f.run.Dropped += e.Count
		return ""
	case KindStray:
		if e.Stray != StrayDuplicate && e.Stray != StrayUnsolicited && e.Stray != StrayGarbage {
			return fmt.Sprintf("%q is no kind of stray", e.Stray)
		}
		f.run.Strays = append(f.run.Strays, *e)
		if e.Index == 0 {
			return ""
		}
	}
	if e.Index < 1 || e.Index > len(f.run.Steps) {
		return fmt.Sprintf("the procedure has %d steps and none at index %d", len(f.run.Steps), e.Index)
	}
	step := &f.run.Steps[e.Index-1]
	if step.StepID != e.StepID {
		return fmt.Sprintf("the step at index %d has the id %d, not %d", e.Index, step.StepID, e.StepID)
	}
	return f.stepEvent(e, step)
}

// stepEvent handles an event that concerns a step.
func (f *folder) stepEvent(e *Event, step *StepResult) string {
	switch e.Kind {
	case KindSent:
		return f.sent(e, step)
	case KindAgain:
		return f.again(e, step)
	case KindResent:
		return f.resent(e, step)
	case KindUnreachable:
		return f.unreachable(e, step)
	case KindReply:
		return f.reply(e, step)
	case KindTimeout:
		return f.settle(e, step, TimedOut, protocol.Timeout)
	case KindLost:
		return f.settle(e, step, ConnectionLost, protocol.ConnectionLost)
	case KindWrong:
		return f.settle(e, step, WrongReply, protocol.WrongReply)
	case KindLate:
		return f.late(e, step)
	case KindInterval:
		return f.interval(e, step)
	case KindStray:
		if step.Outcome == NotRun || step.Outcome == Unreachable {
			return fmt.Sprintf("a stray of step %d, which was not sent", e.Index)
		}
		return ""
	default:
		return fmt.Sprintf("%q is no kind of event", e.Kind)
	}
}

// maxAgents limits Run.Agents. There are two if the agent is replaced during a run.
const maxAgents = 8

// addAgent adds the name and version in a reply to Run.Agents.
func (f *folder) addAgent(e *Event) {
	if e.Reply == nil || e.Reply.Agent == "" || len(f.run.Agents) == maxAgents {
		return
	}
	if !slices.Contains(f.run.Agents, e.Reply.Agent) {
		f.run.Agents = append(f.run.Agents, e.Reply.Agent)
	}
}

// maxSecured limits Run.TLS. There are two if the agent's certificate is renewed during a run.
const maxSecured = 8

// secured adds how a connection was secured to Run.TLS.
func (f *folder) secured(e *Event) string {
	if e.TLS == nil {
		return "a connection over TLS of which nothing is said"
	}
	if len(f.run.TLS) < maxSecured && !slices.Contains(f.run.TLS, *e.TLS) {
		f.run.TLS = append(f.run.TLS, *e.TLS)
	}
	return ""
}

func (f *folder) start(e *Event) string {
	switch {
	case e.Kind != KindStart || e.Start == nil:
		return "a record begins with its start"
	case e.Start.Format != Format:
		return fmt.Sprintf("format %d is not known, this program reads format %d", e.Start.Format, Format)
	}
	f.started = true
	f.run.Start, f.run.Address, f.run.Duration = *e.Start, e.Start.Address, e.At
	if e.Start.Agent != "" {
		f.run.Agents = []string{"stepagent " + e.Start.Agent}
	}
	f.run.Steps = make([]StepResult, len(e.Start.Procedure.Steps))
	for i, step := range e.Start.Procedure.Steps {
		f.run.Steps[i] = StepResult{Index: i + 1, Step: step}
	}
	return ""
}

// end handles the last event. Its cause must agree with the steps.
func (f *folder) end(e *Event) string {
	if e.End == nil {
		return "an end with no cause"
	}
	counts := f.counts()
	switch cause := e.End.Cause; {
	case cause == Finished && counts[NotRun]+counts[Unanswered] > 0:
		return "the run is said to be finished, but not every step is settled"
	case cause == Lost && (f.begun != 1 || f.run.Steps[0].Outcome != Unreachable):
		return "the agent is said to be lost, but not at the first step"
	case f.refused && cause != Refused:
		return fmt.Sprintf("the connection was refused after step %d was sent, and the run is said to be %s", f.begun, cause)
	case cause == Refused && (f.begun == 0 || f.run.Steps[f.begun-1].Outcome != Unreachable):
		return "the connection is said to be refused, but the last step was sent"
	case cause != Finished && cause != Interrupted && cause != Lost && cause != Refused:
		return fmt.Sprintf("%q is no cause of an end", cause)
	case !maps.Equal(counts, e.End.Counts):
		return fmt.Sprintf("the end counts %s, but the events come to %s", tally(e.End.Counts), tally(counts))
	}
	f.run.Cause = e.End.Cause
	if f.begun > 0 {
		f.unrecovered(e, &f.run.Steps[f.begun-1])
	}
	return ""
}

func (f *folder) counts() Counts {
	counts := Counts{}
	for i := range f.run.Steps {
		counts[f.run.Steps[i].Outcome]++
	}
	return counts
}

// verdict returns the worst verdict of all expected steps.
func (f *folder) verdict() Verdict {
	verdict := Undecided
	if f.run.Cause == Finished && len(f.run.Steps) > 0 {
		verdict = Pass
	}
	for i := range f.run.Steps {
		switch outcome := f.run.Steps[i].Outcome; {
		case !outcome.decided():
			verdict = Undecided
		case outcome != Passed:
			return Fail
		}
	}
	return verdict
}

// tally formats counts, such as "7 passed, 2 timed_out".
func tally(counts map[Outcome]int) string {
	var parts []string
	for _, outcome := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[outcome], outcome))
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}
