package web

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/history"
	"github.com/stepagent/stepagent/agent/internal/client/history/statistics"
	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
)

// comparePage is the page of a comparison.
type comparePage struct {
	Empty      string
	Sides      []side
	Whole      change
	By         string
	Confidence string
	Notes      []note
	Steps      []comparedStep
	Pages      pages
	Scale      string
}

// A side is one side of a comparison.
type side struct {
	Word, Name string
	Runs       []choice
	More       int
	Facts      []fact
}

// sideRuns is how many runs of a side are named.
const sideRuns = 8

// A comparedStep is a step on both sides.
type comparedStep struct {
	Title         string
	Before, After sideTimes
	Change        change
	NewlyFailing  bool
	Chart         []htmlkit.Mark
}

// sideTimes are the response times of a step on one side.
type sideTimes struct{ Median, Spread, Count, Failed string }

// A change is a finding in words.
type change struct {
	Class, Symbol, Word string
	Range               string // the interval; empty without one
	Since               string // since when; empty if that is not known
}

// changes are the looks of the findings.
var changes = map[statistics.Word][2]string{
	statistics.Slower: {"slower", "▲"}, statistics.Faster: {"faster", "▼"}, statistics.NoDifference: {"same", "="}, statistics.TooFew: {"few", "…"},
}

// change returns a finding in words. A change is never without its interval, and never a number alone.
func (v *view) change(c statistics.Change) change {
	w := v.Words
	look := changes[c.Word]
	found := change{Class: look[0], Symbol: look[1], Word: w.Findings[string(c.Word)]}
	percent := func(share float64) string { return fmt.Sprintf("%.1f\u00a0%%", 100*share) }
	switch {
	case c.Word == statistics.TooFew && c.Needed > 0:
		found.Range = fmt.Sprintf(w.Needed, c.Needed)
	case !c.Known():
	case c.Word == statistics.Slower:
		found.Range = fmt.Sprintf(w.By, percent(c.Low-1), percent(c.High-1))
	case c.Word == statistics.Faster:
		found.Range = fmt.Sprintf(w.By, percent(1-c.High), percent(1-c.Low))
	default:
		found.Range = fmt.Sprintf(w.Between, signed(c.Low), signed(c.High))
	}
	return found
}

// signed returns a ratio as a signed percentage.
func signed(ratio float64) string {
	return strings.Replace(fmt.Sprintf("%+.1f\u00a0%%", 100*(ratio-1)), "-", "−", 1)
}

// confidence says how sure the intervals of the steps are.
func (v *view) confidence(c *history.Comparison) string {
	return fmt.Sprintf(v.Words.Confidence, fmt.Sprintf("%g %%", 100*(1-c.Options.Alpha)), fmt.Sprintf("%g %%", 100*c.Options.Threshold))
}

func (s *Site) compare(ctx context.Context, db *database.DB, v *view) (string, any, error) {
	p := comparePage{}
	page, err := v.number("page", 1_000_000)
	if err != nil {
		return "", nil, err
	}
	if v.query.Get("run") == "" {
		p.Empty = v.Words.ChooseRuns
		return v.Words.Comparison, p, nil
	}
	after, err := history.Select(ctx, db, v.query.Get("run"), v.query.Get("procedure"))
	if err != nil {
		return "", nil, unselected(err)
	}
	before, err := history.Against(ctx, db, v.query.Get("with"), after)
	if err != nil {
		return "", nil, unselected(err)
	}
	c, err := history.Compare(ctx, db, before, after, statistics.Defaults)
	if err == nil {
		p.show(v, c, before, after, page)
	}
	return v.Words.Comparison, p, err
}

// unselected returns the error of a selection: what cannot be selected is missing, unless the database is.
func unselected(err error) error {
	if errors.Is(err, database.ErrAway) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return missing{err}
}

// show sets what the page says of a comparison.
func (p *comparePage) show(v *view, c *history.Comparison, before, after history.Selection, page int) {
	w := v.Words
	p.Sides = []side{v.side(w.Before, before), v.side(w.After, after)}
	p.Whole, p.By = v.change(c.Whole), w.Bases[c.By]
	p.Confidence, p.Notes = v.confidence(c), v.notes(c.Notes)
	p.Pages = v.pages("page", page, len(c.Steps), tableSteps)
	first := min((page-1)*tableSteps, len(c.Steps))
	steps := c.Steps[first:min(first+tableSteps, len(c.Steps))]
	end := 0.0
	for _, s := range steps {
		end = max(end, s.Before.Times.Upper, s.After.Times.Upper)
	}
	end = max(end*1.05, 1e-6)
	p.Scale = w.Time(database.Duration(end))
	for _, s := range steps {
		p.Steps = append(p.Steps, comparedStep{
			Title: s.Key.String(), Before: v.sideTimes(s.Before), After: v.sideTimes(s.After), Change: v.change(s.Change), NewlyFailing: s.NewlyFailing,
			Chart: append(box("before", s.Before.Times, end, 2), box("after", s.After.Times, end, 16)...),
		})
	}
}

// side describes a selection.
func (v *view) side(word string, s history.Selection) side {
	w := v.Words
	d := side{Word: word, Name: shorten(s.Name)}
	for _, r := range s.Runs[:min(len(s.Runs), sideRuns)] {
		d.Runs = append(d.Runs, choice{Word: r.ID, Address: v.Run(r.ID)})
	}
	d.More = len(s.Runs) - len(d.Runs)
	for _, f := range []struct {
		name string
		of   func(database.Run) string
	}{
		{w.Procedure, func(r database.Run) string { return r.Procedure }}, {w.Board, func(r database.Run) string { return r.Board }},
		{w.Agent, func(r database.Run) string { return r.Agent }},
	} {
		var values []string
		for _, r := range s.Runs {
			if value := f.of(r); value != "" && !slices.Contains(values, value) && len(values) <= sideRuns {
				values = append(values, value)
			}
		}
		if len(values) > sideRuns {
			values[sideRuns] = "…"
		}
		if len(values) > 0 {
			d.Facts = append(d.Facts, fact{Name: f.name, Value: strings.Join(values, ", ")})
		}
	}
	return d
}

// sideTimes describes a step on one side.
func (v *view) sideTimes(s history.Side) sideTimes {
	w := v.Words
	failed, decided := s.NotPassed()
	t := sideTimes{Median: "–", Count: fmt.Sprintf(w.Replies, s.Times.N)}
	if failed > 0 {
		t.Failed = fmt.Sprintf(w.FailedOf, failed, decided)
	}
	if s.Times.N > 0 {
		t.Median = w.Time(database.Duration(s.Times.Median))
		t.Spread = fmt.Sprintf(w.FromTo, w.Time(database.Duration(s.Times.Lower)), w.Time(database.Duration(s.Times.Upper)))
	}
	return t
}

// box returns the middle half and the median of times, on an axis that ends at end.
func box(class string, s statistics.Summary, end float64, top int) []htmlkit.Mark {
	if s.N == 0 {
		return nil
	}
	at := func(seconds float64) int { return htmlkit.Scale(database.Duration(seconds), database.Duration(end)) }
	return []htmlkit.Mark{
		{Class: class, Path: htmlkit.Bar(0, at(s.Median), top, top+10)},
		{Class: "middle", Path: fmt.Sprintf("M%d %dH%d", at(s.Lower), top+5, max(at(s.Upper), at(s.Lower)+2))},
	}
}
