package html

import (
	"fmt"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// moved says with which other agents a run went on, each in a sentence; of many, only the
// last is named. It also says which of them did not have the session.
func moved(w *words, run record.Run) []string {
	var sentences []string
	moves := run.Moves()
	if n := len(moves); n > report.MaxMoves {
		last := moves[n-1]
		moves = nil
		sentences = append(sentences, fmt.Sprintf(w.MovedOften, n, run.Steps[last.Index-1].StepID, logging.Clean(last.Address)))
	}
	for _, m := range moves {
		if m.Index == 1 {
			sentences = append(sentences, fmt.Sprintf(w.MovedFirst, logging.Clean(m.Address)))
		} else {
			sentences = append(sentences, fmt.Sprintf(w.Moved, run.Steps[m.Index-1].StepID, logging.Clean(m.Address)))
		}
	}
	if at := run.WithoutSession(); at != "" && !run.SessionGone() {
		sentences = append(sentences, fmt.Sprintf(w.NoSuchSession, logging.Clean(at)))
	}
	return sentences
}

// sentTo says to which agent a step was sent again; empty for the one of the start.
func sentTo(w *words, s record.StepResult) []string {
	if s.Address == "" {
		return nil
	}
	return []string{fmt.Sprintf(w.SentTo, w.shorten(s.Address))}
}
