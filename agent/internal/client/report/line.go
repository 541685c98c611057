package report

import (
	"fmt"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// Line describes an event in one line, without a newline; step is the event's step after it.
// It is empty for events that say nothing about the result of a step.
func Line(e record.Event, step record.StepResult) string {
	switch e.Kind {
	case record.KindLate:
		return fmt.Sprintf("step %d: late: the reply came %s after the request", e.StepID, Span(e.Took))
	case record.KindStray:
		of := ""
		if e.Index > 0 {
			of = fmt.Sprintf("step %d: ", e.StepID)
		}
		return of + "stray: " + string(e.Stray) + phrase.After(": ", logging.Clean(e.Detail))
	case record.KindAgain:
		if !BeginsRetries(e, step) {
			return ""
		}
		return fmt.Sprintf("step %d: %s, trying again", step.StepID, Trouble(e.Again.Cause))
	case record.KindSent, record.KindResent:
		if e.Address == "" {
			return ""
		}
		return fmt.Sprintf("step %d: sent to %s", e.StepID, logging.Clean(e.Address))
	case record.KindResumed:
		return "resumed: the run was interrupted for " + phrase.Span(e.Resumed.Away)
	case record.KindReply, record.KindTimeout, record.KindLost, record.KindWrong, record.KindUnreachable:
		line := fmt.Sprintf("step %d: %s", step.StepID, Word(step.Outcome))
		if step.Outcome == record.Failed {
			line += phrase.After(" ", logging.Clean(string(step.Reason)))
		}
		line += phrase.After(": ", logging.Clean(step.Detail))
		if Replied(step.Outcome) {
			line += " (" + Span(step.Took) + ")"
		}
		return line + phrase.After("; ", Retried(step))
	default:
		return ""
	}
}
