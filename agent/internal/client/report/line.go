package report

import (
	"fmt"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// Line tells an event in one line as it happens, without a newline; step is the event's
// step as it stands with it. It is empty for events that tell nothing about how a step
// went: the start, a sending, an interval, the end.
func Line(e record.Event, step record.StepResult) string {
	switch e.Kind {
	case record.KindLate:
		return fmt.Sprintf("step %d: late: the reply came %s after the request", e.StepID, Span(e.Took))
	case record.KindStray:
		of := ""
		if e.Index > 0 {
			of = fmt.Sprintf("step %d: ", e.StepID)
		}
		return of + "stray: " + string(e.Stray) + after(": ", logging.Clean(e.Detail))
	case record.KindReply, record.KindTimeout, record.KindLost, record.KindWrong, record.KindUnreachable:
		line := fmt.Sprintf("step %d: %s", step.StepID, Word(step.Outcome))
		if step.Outcome == record.Failed {
			line += after(" ", logging.Clean(string(step.Reason)))
		}
		line += after(": ", logging.Clean(step.Detail))
		if Replied(step.Outcome) {
			line += " (" + Span(step.Took) + ")"
		}
		return line
	default:
		return ""
	}
}

// after puts something before a text that is there.
func after(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}
