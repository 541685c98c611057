package web

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/history"
	"github.com/stepagent/stepagent/agent/internal/client/history/statistics"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

const (
	// trendRuns is how many runs a trend covers at most, the newest that are selected; trendResults bounds
	// the step results in them, and so the time that the page takes.
	trendRuns    = 200
	trendResults = 10_000
	// leastTrendRuns is how many runs a trend of a long procedure has.
	leastTrendRuns = 20
	// trendSteps is how many steps the page shows at once.
	trendSteps = 12
)

// trendPage is the page of a procedure's trend.
type trendPage struct {
	form
	Baselines   []choice
	Intro       string
	Against     string // what the newer runs are compared with
	Whole       change
	Confidence  string
	Notes       []note
	Empty       string
	Plots       []trendPlot
	Pages       pages
	First, Last string // times of the first and the last run
}

// A trendPlot is the trend of one step.
type trendPlot struct {
	plot
	Title, Timeout, Median, Spread, Baseline string
	Change                                   change
	Badge                                    string // what is unsteady about the step; empty for nothing
	Description                              string
}

func (s *Site) trend(ctx context.Context, db *database.DB, v *view) (string, any, error) {
	f, err := v.filter()
	if err != nil {
		return "", nil, err
	}
	page, err := v.number("page", 1_000_000)
	if err != nil {
		return "", nil, err
	}
	p := trendPage{}
	if p.form, err = newForm(ctx, db, v); err != nil {
		return "", nil, err
	}
	p.Verdicts = nil // a trend of the runs that passed would say nothing of the others
	if f.Procedure == "" {
		p.Empty = v.Words.ChooseProcedure
		return v.Words.Trend, p, nil
	}
	query := history.Query{Procedure: f.Procedure, Board: f.Board, Labels: f.Labels, Since: f.Since, Until: f.Until}
	if query.Against, err = p.chooseBaseline(ctx, db, v, f.Procedure); err != nil {
		return "", nil, err
	}
	if query.Last, err = trendLength(ctx, db, f); err != nil {
		return "", nil, err
	}
	trend, err := history.ReadTrend(ctx, db, query, statistics.Defaults)
	if errors.Is(err, history.ErrNoRuns) {
		p.Empty = v.Words.NoneSelected
		return v.Words.Trend, p, nil
	}
	if err == nil {
		p.show(v, trend, query.Against, page)
	}
	return v.Words.Trend, p, err
}

// trendLength returns how many runs a trend covers, by the number of their steps.
func trendLength(ctx context.Context, db *database.DB, f database.Filter) (int, error) {
	f.Kind, f.HasContent, f.Limit = database.KindRun, true, 1
	newest, err := db.Runs(ctx, f)
	if err != nil || len(newest) == 0 {
		return 1, err
	}
	return min(trendRuns, max(leastTrendRuns, trendResults/max(1, int(newest[0].Steps)))), nil
}

// chooseBaseline returns the baseline that is shown: the one in the address, or else the newest.
func (p *trendPage) chooseBaseline(ctx context.Context, db *database.DB, v *view, procedure string) (string, error) {
	all, err := baselineNames(ctx, db, procedure)
	if err != nil {
		return "", err
	}
	chosen := v.query.Get("baseline")
	if chosen == "" && len(all) > 0 {
		chosen = all[0]
	}
	for _, name := range all {
		p.Baselines = append(p.Baselines, choice{name, v.Here("baseline", name), name == chosen})
	}
	if chosen != "" && !slices.Contains(all, chosen) {
		return "", &badRequest{"baseline", chosen, "baseline"}
	}
	return chosen, nil
}

// baselineNames returns the baselines of a procedure, the newest first.
func baselineNames(ctx context.Context, db *database.DB, procedure string) (names []string, err error) {
	all, err := db.Baselines(ctx, procedure)
	slices.SortStableFunc(all, func(a, b database.Baseline) int { return b.Made.Compare(a.Made) })
	for _, b := range all {
		names = append(names, b.Name)
	}
	return names, err
}

// show sets what the page says of a trend.
func (p *trendPage) show(v *view, t *history.Trend, baseline string, page int) {
	w := v.Words
	at, started := map[string]int{}, map[string]time.Time{}
	for i, r := range t.Runs {
		at[r.ID], started[r.ID] = i, r.Started
	}
	p.First, p.Last = v.Time(t.Runs[0].Started), v.Time(t.Runs[len(t.Runs)-1].Started)
	p.Intro = fmt.Sprintf(w.TrendIntro, v.count(len(t.Runs), false), p.First, p.Last)
	p.Against = w.AgainstOlder
	if baseline != "" {
		p.Against = fmt.Sprintf(w.AgainstBaseline, baseline)
	}
	p.Whole, p.Confidence, p.Notes = v.change(t.Whole), v.confidence(t.Comparison), v.notes(t.Notes)
	if t.ChangedAt != "" {
		p.Whole.Since = fmt.Sprintf(w.ChangedSince, v.Time(started[t.ChangedAt]))
	}
	p.Pages = v.pages("page", page, len(t.Steps), trendSteps)
	first := min((page-1)*trendSteps, len(t.Steps))
	for i, s := range t.Steps[first:min(first+trendSteps, len(t.Steps))] {
		points := make([]point, len(t.Runs))
		for _, pt := range s.Points {
			points[at[pt.Run]] = newPoint(pt)
		}
		base := statistics.Summary{}
		if baseline != "" {
			base = s.Before.Times
		}
		changed := -1
		if s.ChangedAt != "" {
			changed = at[s.ChangedAt]
		}
		p.Plots = append(p.Plots, v.trendPlot(first+i+1, s, newPlot(v, points, s.Timeout, base, changed), base, started))
	}
}

func newPoint(p history.Point) point {
	pt := point{passed: p.Outcome == record.Passed.String(), reply: p.Took != nil}
	pt.run = p.Outcome != record.NotRun.String() && p.Outcome != record.Unanswered.String()
	if pt.reply {
		pt.took = *p.Took
	}
	return pt
}

// trendPlot returns what is said of the step at a position.
func (v *view) trendPlot(position int, s history.TrendStep, drawn plot, base statistics.Summary, started map[string]time.Time) trendPlot {
	w := v.Words
	seconds := func(s float64) string { return w.Time(database.Duration(s)) }
	failed, decided := s.All.NotPassed()
	t := trendPlot{plot: drawn, Title: fmt.Sprintf(w.StepTitle, position, s.Key), Timeout: w.Wait(database.Duration(s.Timeout)),
		Median: "–", Spread: "–", Change: v.change(s.Change)}
	if times := s.All.Times; times.N > 0 {
		t.Median, t.Spread = seconds(times.Median), fmt.Sprintf(w.FromTo, seconds(times.Lower), seconds(times.Upper))
	}
	if base.N > 0 {
		t.Baseline = seconds(base.Median)
	}
	if s.ChangedAt != "" {
		t.Change.Since = fmt.Sprintf(w.ChangedSince, v.Time(started[s.ChangedAt]))
	}
	switch s.Course {
	case history.Flaky:
		t.Badge = fmt.Sprintf(w.FlakyOf, failed, decided)
	case history.FailingSince:
		t.Badge = fmt.Sprintf(w.FailingSince, v.Time(started[s.Since]))
	case history.PassingSince:
		t.Badge = fmt.Sprintf(w.PassingSince, v.Time(started[s.Since]))
	case history.Failing:
		t.Badge = w.Failing
	}
	t.Description = fmt.Sprintf(w.PlotDescription, decided, decided-failed, t.Median, t.Timeout)
	return t
}
