package html

import (
	"fmt"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
)

// resumed says when and for how long a run was interrupted before it was resumed.
func resumed(w *words, run record.Run) []string {
	var sentences []string
	switch n := len(run.Resumptions); {
	case n == 1:
		sentences = append(sentences, w.resumedOnce(run, run.Resumptions[0]))
	case n > 1:
		sentences = append(sentences, fmt.Sprintf(w.InterruptedOften, n, w.Time(report.InterruptedFor(run))))
	}
	if run.SessionGone() {
		sentences = append(sentences, w.SessionGone)
	}
	return sentences
}

func (w *words) resumedOnce(run record.Run, r record.Resumption) string {
	away := w.Time(r.Away)
	switch {
	case r.Sent:
		return fmt.Sprintf(w.InterruptedWaiting, away, run.Steps[r.Next-1].StepID)
	case r.Next == 1:
		return fmt.Sprintf(w.InterruptedFirst, away)
	default:
		return fmt.Sprintf(w.Interrupted, away, run.Steps[r.Next-2].StepID)
	}
}
