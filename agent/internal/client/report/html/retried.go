package html

import (
	"fmt"

	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// retried says why a step was tried again, for how long the agent was away, and how often the step was sent.
func (w *words) retried(s record.StepResult) []string {
	var sentences []string
	away := w.Time(s.Away)
	switch {
	case s.Retry == "":
		return nil
	case s.Reconnects > 0 && s.Away == 0:
		sentences = []string{w.ReconnectedBefore}
	case s.Reconnects > 0:
		sentences = []string{fmt.Sprintf(w.Reconnected, away)}
	case s.Retry == record.RetryBusy:
		sentences = []string{fmt.Sprintf(w.WasBusy, away)}
	case s.Retry == record.RetryValidator:
		sentences = []string{fmt.Sprintf(w.NoValidator, away)}
	default:
		sentences = []string{fmt.Sprintf(w.WasAway, away)}
	}
	if s.Tries > 1 {
		sentences = append(sentences, fmt.Sprintf(w.SentTimes, s.Tries))
	}
	return append(sentences, sentTo(w, s)...)
}

// interruption says what interrupted the run and that it went on; empty for nothing.
func (w *words) interruption(run record.Run) string {
	switch away := w.Time(run.Away); {
	case run.Reconnects == 1 && run.Away > 0:
		return fmt.Sprintf(w.ReconnectedOnce, away)
	case run.Reconnects > 1 && run.Away > 0:
		return fmt.Sprintf(w.ReconnectedOften, run.Reconnects, away)
	case run.Reconnects > 0:
		return fmt.Sprintf(w.ReconnectedSoon, run.Reconnects)
	case run.Away > 0:
		return fmt.Sprintf(w.NoVerdictFor, away)
	}
	return ""
}
