package record

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/stepagent/stepagent/agent/protocol"
)

// An EventError says which event makes no sense after those before it. A record with such
// an event is damaged, and nothing in it is to be trusted.
type EventError struct {
	// Event is the place of the event, counted from 1. In a file it is the line's number.
	Event int
	// Problem says what is wrong, in lower case and without a full stop.
	Problem string
}

// Error joins place and problem.
func (e *EventError) Error() string { return fmt.Sprintf("event %d: %s", e.Event, e.Problem) }

// Fold derives from the events of one run what it came to. It is the only place where a
// verdict is computed.
//
// Fold believes no event that does not fit: a step begins when the one before it is settled
// and its interval is over, is settled once, and passes only by a reply to itself, in time,
// with code 0. Where events are missing, doubled or out of order it returns an *EventError
// and the zero Run, whose verdict is undecided. Events that merely stop, because the client
// was killed or is still at work, are no error; see Run.Cut.
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

// A folder holds what the events so far come to. Its methods return what is wrong with an
// event, or nothing.
type folder struct {
	run     Run
	started bool
	// begun is the index of the last step that had its turn.
	begun int
	// broken is set when an interval was not kept, after which no step may begin.
	broken bool
}

// result returns the run so far.
func (f *folder) result() Run {
	f.run.Counts = f.counts()
	f.run.Verdict = f.verdict()
	return f.run
}

func (f *folder) event(e *Event) string {
	switch {
	case !f.started:
		return f.start(e)
	case !f.run.Cut():
		return fmt.Sprintf("%s after the end", e.Kind)
	case e.At < f.run.Duration:
		return "its time is before that of the event before it"
	}
	f.run.Duration = e.At
	f.agent(e)
	switch e.Kind {
	case KindEnd:
		return f.end(e)
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
	return f.ofStep(e, step)
}

// ofStep takes an event that concerns a step.
func (f *folder) ofStep(e *Event, step *StepResult) string {
	switch e.Kind {
	case KindSent:
		return f.sent(e, step)
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

// maxAgents is how many versions of the agent are told apart. An agent that is replaced in
// the middle of a run may make it two.
const maxAgents = 8

// agent notes the version that an agent gave of itself.
func (f *folder) agent(e *Event) {
	if e.Reply == nil || e.Reply.Agent == "" || len(f.run.Agents) == maxAgents {
		return
	}
	if !slices.Contains(f.run.Agents, e.Reply.Agent) {
		f.run.Agents = append(f.run.Agents, e.Reply.Agent)
	}
}

func (f *folder) start(e *Event) string {
	switch {
	case e.Kind != KindStart || e.Start == nil:
		return "a record begins with its start"
	case e.Start.Format != Format:
		return fmt.Sprintf("format %d is not known, this program reads format %d", e.Start.Format, Format)
	}
	f.started = true
	f.run.Start, f.run.Duration = *e.Start, e.At
	if e.Start.Agent != "" {
		f.run.Agents = []string{"stepagent " + e.Start.Agent}
	}
	f.run.Steps = make([]StepResult, len(e.Start.Procedure.Steps))
	for i, step := range e.Start.Procedure.Steps {
		f.run.Steps[i] = StepResult{Index: i + 1, Step: step}
	}
	return ""
}

// end takes the last event. The causes that say how far the run came must be true.
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
	case cause != Finished && cause != Interrupted && cause != Lost:
		return fmt.Sprintf("%q is no cause of an end", cause)
	case !maps.Equal(counts, e.End.Counts):
		return fmt.Sprintf("the end counts %s, but the events come to %s", tally(e.End.Counts), tally(counts))
	}
	f.run.Cause = e.End.Cause
	return ""
}

func (f *folder) counts() Counts {
	counts := Counts{}
	for i := range f.run.Steps {
		counts[f.run.Steps[i].Outcome]++
	}
	return counts
}

// verdict is the worst over all expected steps.
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

// tally writes counts for people: "7 passed, 2 timed_out".
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
