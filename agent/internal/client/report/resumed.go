package report

import (
	"fmt"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// resumed has clauses for the interruptions after which a run was resumed.
func resumed(run record.Run) []string {
	var clauses []string
	switch n := len(run.Resumptions); {
	case n == 1:
		clauses = append(clauses, resumedOnce(run, run.Resumptions[0]))
	case n > 1:
		clauses = append(clauses, fmt.Sprintf("the run was interrupted %d times, for %s in all", n, phrase.Span(InterruptedFor(run))))
	}
	if run.SessionGone() {
		clauses = append(clauses, "the agent no longer had the session when the run was resumed")
	}
	return clauses
}

func resumedOnce(run record.Run, r record.Resumption) string {
	text := "the run was interrupted for " + phrase.Span(r.Away)
	switch {
	case r.Sent:
		return text + fmt.Sprintf(" while step %d waited for its reply", run.Steps[r.Next-1].StepID)
	case r.Next == 1:
		return text + " before its first step"
	default:
		return text + fmt.Sprintf(" after step %d", run.Steps[r.Next-2].StepID)
	}
}

// InterruptedFor returns for how long a run was interrupted in all.
func InterruptedFor(run record.Run) time.Duration {
	var sum time.Duration
	for _, r := range run.Resumptions {
		sum += r.Away
	}
	return sum
}
