package report

import (
	"fmt"
	"slices"

	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// Retried says why a step was tried again and how long the agent was away; empty if it was not.
func Retried(step record.StepResult) string {
	away := Span(step.Away)
	var text string
	switch {
	case step.Retry == "":
		return ""
	case step.Reconnects > 0 && step.Away == 0:
		text = "reconnected" + to(step) + " before it was sent"
	case step.Reconnects > 0:
		text = "reconnected" + to(step) + ": the agent was away for " + away
	case step.Retry == record.RetryBusy:
		text = "the agent was busy for " + away
	case step.Retry == record.RetryValidator:
		text = "a validator was not available for " + away
	default:
		text = "the agent was away for " + away
	}
	if step.Tries > 1 {
		text += fmt.Sprintf("; sent %d times", step.Tries)
	}
	return text
}

// Interruption says in one clause at which steps of a run the client reconnected or tried again, and for
// how long the agent was away; empty for none.
func Interruption(run record.Run) string {
	var steps []*record.StepResult
	refused := true // and never away
	for i := range run.Steps {
		if step := &run.Steps[i]; step.Retry != "" {
			steps = append(steps, step)
			refused = refused && slices.Contains([]record.Retry{record.RetryBusy, record.RetryValidator}, step.Retry)
		}
	}
	if len(steps) == 0 {
		return ""
	}
	at, away := " at "+named(steps), Span(run.Away)
	if len(steps) > 1 {
		away += " in all"
	}
	switch {
	case run.Reconnects > 0 && run.Away == 0:
		return "reconnected" + at
	case run.Reconnects > 0:
		return "reconnected" + at + ": the agent was away for " + away
	case refused:
		return "tried again" + at + ": the agent gave no verdict for " + away
	default:
		return "the agent was away for " + away + at
	}
}

// BeginsRetries reports whether a record.KindAgain is the first of its step that is worth a line; step
// is the event's step after it. Further ones come until there is a verdict, about one a second.
func BeginsRetries(e record.Event, step record.StepResult) bool {
	return e.Again.Cause != record.RetryUnreachable && step.Tries < 2
}

// Trouble says why a step is tried again, while it is.
func Trouble(cause record.Retry) string {
	switch cause {
	case record.RetryBusy:
		return "the agent is busy"
	case record.RetryValidator:
		return "a validator is not available"
	case record.RetryLost:
		return "the connection was lost"
	default:
		return "the agent is away"
	}
}
