package html

import (
	"fmt"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/report"
)

// A part is one line of where the time went.
type part struct {
	Word, Meaning, Share string
	Time                 time.Duration
}

// WhereSentence says how much time there is to account for.
func (v view) WhereSentence() string {
	text := fmt.Sprintf(v.Words.WhereSentence, v.Split.Counted, v.Time(v.Split.Total.Waited))
	if v.Split.Dropped > 0 {
		text += " " + fmt.Sprintf(v.Words.WhereLacks, v.Split.Dropped)
	}
	return text
}

// Parts are who had the time of the run.
func (v view) Parts() []part {
	w, t := v.Words, v.Split.Total
	share := func(d time.Duration) string {
		if t.Waited == 0 {
			return "–"
		}
		return fmt.Sprintf("%.0f%%", 100*float64(d)/float64(t.Waited))
	}
	parts := []part{
		{w.WhereLink, w.MeansLink, share(t.Link), t.Link},
		{w.WhereQueue, w.MeansQueue, share(t.Queue), t.Queue},
		{w.WhereValidators, w.MeansValidators, share(t.Validators), t.Validators},
		{w.WhereAgent, w.MeansAgent, share(t.Agent), t.Agent},
	}
	if t.Fault > 0 {
		parts = append(parts, part{w.WhereFault, w.MeansFault, share(t.Fault), t.Fault})
	}
	return append(parts, part{w.WhereIntervals, w.MeansIntervals, "–", v.Split.Intervals},
		part{w.WhereClient, w.MeansClient, "–", v.Split.Between})
}

// AgentSaid is the agent's side of a step.
func (v view) AgentSaid(a report.View) string {
	said := []string{v.Words.AgentPassed}
	if a.ErrorCode != 0 || a.Reason != "" {
		said[0] = fmt.Sprintf(v.Words.AgentRefused, v.Words.shorten(a.Reason))
	}
	if a.FaultKind != "" {
		said = append(said, fmt.Sprintf(v.Words.AgentFault, v.Words.shorten(a.FaultKind)))
	}
	if a.Arrivals > 1 {
		said = append(said, fmt.Sprintf(v.Words.AgentRetried, a.Arrivals-1))
	}
	return strings.Join(said, "; ")
}
