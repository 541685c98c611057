package web

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/history/statistics"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

const (
	// trendRuns is how many runs a trend covers at most, the newest that are selected.
	trendRuns = 200
	// trendSteps is how many steps the page shows at once.
	trendSteps = 12
)

// trendPage is the page of a procedure's trend.
type trendPage struct {
	Procedures, Boards []string
	Verdicts           []choice
	Baselines          []choice
	Count, Range       string // which runs
	Empty              string
	Plots              []trendPlot
	Pages              pages
	First, Last        string // times of the first and the last run
}

// A trendPlot is the trend of one step.
type trendPlot struct {
	plot
	Title, Timeout, Median, Spread, Baseline string
	Flaky                                    string // how often it did not pass; empty if it is not flaky
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
	p := trendPage{Verdicts: v.verdicts()}
	if p.Procedures, err = names(ctx, db, "procedure"); err != nil {
		return "", nil, err
	}
	if p.Boards, err = names(ctx, db, "board"); err != nil {
		return "", nil, err
	}
	if f.Procedure == "" {
		p.Empty = v.Words.ChooseProcedure
		return v.Words.Trend, p, nil
	}
	f.Limit, f.Kind = trendRuns, database.KindRun
	runs, err := db.Runs(ctx, f)
	if err != nil {
		return "", nil, err
	}
	baseline, err := p.chooseBaseline(ctx, db, v, f.Procedure)
	if err != nil || len(runs) == 0 {
		p.Empty = v.Words.NoneSelected
		return v.Words.Trend, p, err
	}
	slices.Reverse(runs)
	p.First, p.Last = v.Time(runs[0].Started), v.Time(runs[len(runs)-1].Started)
	p.Count = v.count(len(runs), len(runs) == trendRuns)
	steps := 0
	for _, r := range runs {
		steps = max(steps, int(r.Steps))
	}
	p.Pages = v.pages("page", page, steps, trendSteps)
	p.Plots, err = v.trendPlots(ctx, db, runs, (page-1)*trendSteps+1, f.Procedure, baseline)
	return v.Words.Trend, p, err
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
func baselineNames(ctx context.Context, db *database.DB, procedure string) ([]string, error) {
	return collect(ctx, db, func(rows *sql.Rows) (name string, err error) { return name, rows.Scan(&name) },
		"SELECT name FROM baselines WHERE procedure = $1 GROUP BY name ORDER BY max(made) DESC, name", procedure)
}

// trendPlots returns the plots of the steps from first on, in runs that are the oldest first.
func (v *view) trendPlots(ctx context.Context, db *database.DB, runs []database.Run, first int, procedure, baseline string) ([]trendPlot, error) {
	base, err := baselineTimes(ctx, db, procedure, baseline, first)
	if err != nil {
		return nil, err
	}
	at, args, places := map[string]int{}, []any{}, []string{}
	for i, r := range runs {
		at[r.ID] = i
		args = append(args, r.ID)
		places = append(places, fmt.Sprintf("$%d", len(args)))
	}
	found := make([][]step, trendSteps) // by step and run
	for i := range found {
		found[i] = make([]step, len(runs))
	}
	query := fmt.Sprintf(`SELECT run, idx, step_id, timeout, outcome, took FROM steps WHERE run IN (%s) AND idx BETWEEN %d AND %d`,
		strings.Join(places, ","), first, first+trendSteps-1)
	_, err = collect(ctx, db, func(rows *sql.Rows) (struct{}, error) {
		var s step
		var run, outcome string
		if err := rows.Scan(&run, &s.Index, &s.ID, &s.Timeout, &outcome, &s.Took); err != nil {
			return struct{}{}, err
		}
		found[s.Index-first][at[run]] = s
		return struct{}{}, found[s.Index-first][at[run]].Outcome.UnmarshalText([]byte(outcome))
	}, query, args...)
	var plots []trendPlot
	for i, steps := range found {
		if last := slices.IndexFunc(steps, func(s step) bool { return s.Index > 0 }); last >= 0 {
			plots = append(plots, v.trendPlot(steps, statistics.Summarize(base[first+i]), baseline))
		}
	}
	return plots, err
}

// baselineTimes returns the response times in the runs of a baseline, by step.
func baselineTimes(ctx context.Context, db *database.DB, procedure, baseline string, first int) (map[int][]float64, error) {
	times := map[int][]float64{}
	if baseline == "" {
		return times, nil
	}
	_, err := collect(ctx, db, func(rows *sql.Rows) (struct{}, error) {
		var index int
		var took float64
		err := rows.Scan(&index, &took)
		times[index] = append(times[index], took)
		return struct{}{}, err
	}, `SELECT idx, took FROM steps WHERE run IN (SELECT run FROM baselines WHERE procedure = $1 AND name = $2) AND idx BETWEEN $3 AND $4
		AND outcome = 'passed'`, procedure, baseline, first, first+trendSteps-1)
	return times, err
}

// trendPlot returns the plot of a step; steps has one for each run, without an index where the run has none.
func (v *view) trendPlot(steps []step, base statistics.Summary, baseline string) trendPlot {
	w := v.Words
	var points []point
	var last step
	var took []float64
	performed, passed := 0, 0
	for _, s := range steps {
		pt := point{took: s.Took.V, reply: s.Took.Valid, passed: s.Outcome == record.Passed}
		pt.run = s.Index > 0 && s.Outcome != record.NotRun && s.Outcome != record.Unanswered
		points = append(points, pt)
		if s.Index > 0 {
			last = s
		}
		if pt.run {
			performed++
		}
		if pt.passed {
			passed++
			took = append(took, pt.took)
		}
	}
	middle := statistics.Summarize(took)
	t := trendPlot{plot: newPlot(v, points, last.Timeout, base), Title: fmt.Sprintf(w.StepTitle, last.Index, last.ID),
		Timeout: w.Wait(database.Duration(last.Timeout)), Median: "–", Spread: "–"}
	if middle.N > 0 {
		t.Median = w.Time(database.Duration(middle.Median))
		t.Spread = fmt.Sprintf(w.FromTo, w.Time(database.Duration(middle.Lower)), w.Time(database.Duration(middle.Upper)))
	}
	if base.N > 0 {
		t.Baseline = w.Time(database.Duration(base.Median))
	}
	if passed > 0 && passed < performed {
		t.Flaky = fmt.Sprintf(w.FlakyOf, performed-passed, performed)
	}
	t.Description = fmt.Sprintf(w.PlotDescription, performed, passed, t.Median, t.Timeout)
	return t
}
