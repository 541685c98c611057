package html

import (
	"fmt"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
)

// timing says which waits the split covers, and whose.
func timing(w *words, split *report.Split) string {
	text := fmt.Sprintf(w.WhereSentence, split.Counted, w.Time(split.Total.Waited))
	if split.Restarts > 0 {
		text += " " + fmt.Sprintf(w.WhereAway, split.Restarts, w.Time(split.Away))
	}
	if split.Identity != "" {
		text += " " + fmt.Sprintf(w.WhereIdentity, w.shorten(split.Identity))
	}
	if split.Dropped > 0 {
		text += " " + fmt.Sprintf(w.WhereLacks, split.Dropped)
	}
	return text
}

// A part is a part of the run's time.
type part struct {
	Word, Meaning, Share string
	Time                 time.Duration
}

func parts(w *words, split *report.Split) []part {
	t := split.Total
	ofWait := func(word, meaning string, d time.Duration) part {
		share := "–"
		if t.Waited > 0 {
			share = fmt.Sprintf("%.0f%%", 100*float64(d)/float64(t.Waited))
		}
		return part{word, meaning, share, d}
	}
	parts := []part{
		ofWait(w.WhereLink, w.MeansLink, t.Link),
		ofWait(w.WhereQueue, w.MeansQueue, t.Queue),
		ofWait(w.WhereValidators, w.MeansValidators, t.Validators),
		ofWait(w.WhereAgent, w.MeansAgent, t.Agent),
	}
	if t.Fault > 0 {
		parts = append(parts, ofWait(w.WhereFault, w.MeansFault, t.Fault))
	}
	if t.Away > 0 {
		parts = append(parts, ofWait(w.WhereNoAgent, w.MeansNoAgent, t.Away))
	}
	return append(parts, part{w.WhereIntervals, w.MeansIntervals, "–", split.Intervals},
		part{w.WhereClient, w.MeansClient, "–", split.Between})
}

// A pair is a step as the client and as the agent recorded it.
type pair struct {
	Index          int
	Symbol, Result string
	View           report.View
	AgentSaid      string
}

// pairs returns the pairs of the steps that have a row of their own.
func pairs(w *words, steps []record.StepResult, split *report.Split, shown selection) []pair {
	var all []pair
	for i, view := range split.Steps {
		if s := steps[i]; shown.has(s.Index) {
			_, symbol := htmlkit.Look(s.Outcome)
			all = append(all, pair{s.Index, symbol, w.Results[s.Outcome], view, agentSaid(w, view)})
		}
	}
	return all
}

// agentSaid is the agent's side of a step in words.
func agentSaid(w *words, a report.View) string {
	said := []string{w.AgentPassed}
	if a.ErrorCode != 0 || a.Reason != "" {
		said[0] = fmt.Sprintf(w.AgentRefused, w.shorten(a.Reason))
	}
	if a.FaultKind != "" {
		said = append(said, fmt.Sprintf(w.AgentFault, w.shorten(a.FaultKind)))
	}
	if a.Arrivals > 1 {
		said = append(said, fmt.Sprintf(w.AgentRetried, a.Arrivals-1))
	}
	return strings.Join(said, "; ")
}
