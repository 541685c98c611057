package history

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/history/statistics"
)

// DefaultLast is the number of runs of a trend.
const DefaultLast = 40

// A Query selects the runs of a trend. The zero value of a field selects all.
type Query struct {
	// Procedure is the name of the procedure, Version its version in the database. With version 0, the
	// content of the newest run counts. Runs that have no content yet do not count.
	Procedure string
	Version   int64
	// Kind is database.KindRun if it is empty.
	Kind database.Kind
	// Board, Labels, Since and Until are those of database.Filter.
	Board        string
	Labels       map[string]string
	Since, Until time.Time
	// Last is the number of runs, the newest; 0 for DefaultLast, at most MaxRuns.
	Last int
	// Against names the runs to compare with, see Select; empty for the older half.
	Against string
	// Split is the start of the runs that are compared with those before them; zero for the newer half.
	// It has no effect with Against.
	Split time.Time
}

// A Trend follows a procedure through its runs.
type Trend struct {
	Procedure string `json:"procedure"`
	// Content is the sha256 of the procedure that all runs have; empty for load tests.
	Content string `json:"procedure_sha256"`
	// Runs are the runs, the oldest first.
	Runs []TrendRun `json:"runs"`
	// Comparison compares the newer runs with the older ones.
	*Comparison
	// Steps are the steps of the procedure, in order.
	Steps []TrendStep `json:"steps"`
	// ChangedAt is the id of the run at which the level of the whole runs most likely changed; empty if
	// no such run can be told. Like the words, it is wrong with the probability Options.Alpha at most.
	ChangedAt string `json:"changed_at,omitzero"`
}

// A TrendRun is a run of a trend.
type TrendRun struct {
	ID      string            `json:"id"`
	Started time.Time         `json:"started"`
	Board   string            `json:"board"`
	Version int64             `json:"version,omitzero"`
	Verdict string            `json:"verdict"`
	Labels  map[string]string `json:"labels,omitzero"`
	// After says that the run is on the newer side of the comparison.
	After bool `json:"after"`
}

// A TrendStep is one step in all runs.
type TrendStep struct {
	Step
	// All describes the step in all runs of the trend.
	All Side `json:"all"`
	// Points has one point for each run that has the step, the oldest first.
	Points []Point `json:"points"`
	Stability
	// ChangedAt is as for Trend, for the step; all steps are one family.
	ChangedAt string `json:"changed_at,omitzero"`
}

// ReadTrend follows a procedure through its runs. The error is ErrNoRuns if there are none.
func ReadTrend(ctx context.Context, db *database.DB, q Query, o statistics.Options) (*Trend, error) {
	runs, notes, err := q.runs(ctx, db)
	if err != nil {
		return nil, err
	}
	before, after := q.split(runs)
	if q.Against != "" {
		after = runs
		if before, err = Select(ctx, db, q.Against, q.Procedure); err != nil {
			return nil, err
		}
	}
	of, err := readTable(ctx, db, runs.Runs)
	if err != nil {
		return nil, err
	}
	b := of.only(before.Names())
	if q.Against != "" {
		if b, err = readTable(ctx, db, before.Runs); err != nil {
			return nil, err
		}
	}
	a := of.only(after.Names())
	t := &Trend{
		Procedure: q.Procedure, Content: runs.Runs[0].ProcedureSHA256,
		Comparison: compare(before, after, b, a, o), Steps: []TrendStep{},
	}
	t.Notes = append(notes, t.Notes...)
	for _, run := range runs.Runs {
		t.Runs = append(t.Runs, TrendRun{
			ID: run.ID, Started: run.Started, Board: run.Board, Version: run.Version, Verdict: run.Verdict, Labels: run.Labels,
			After: slices.Contains(t.After.Runs, run.ID),
		})
	}
	t.steps(of)
	t.ChangedAt = changePoint(t.levelPoints(b, a), o.Alpha)
	return t, nil
}

// runs returns the runs that the query selects, the oldest first.
func (q Query) runs(ctx context.Context, db *database.DB) (s Selection, notes []string, err error) {
	filter := database.Filter{
		Kind: q.Kind, Procedure: q.Procedure, Board: q.Board, Labels: q.Labels, Since: q.Since, Until: q.Until, Limit: min(q.Last, MaxRuns),
	}
	if filter.Kind == "" {
		filter.Kind = database.KindRun
	}
	filter.HasContent = filter.Kind == database.KindRun
	if filter.Limit <= 0 {
		filter.Limit = DefaultLast
	}
	if q.Version != 0 {
		version, _, err := db.Procedure(ctx, q.Procedure, q.Version)
		if err != nil {
			return Selection{}, nil, err
		}
		filter.Content = version.SHA256
	}
	newest, err := db.Runs(ctx, filter)
	if err != nil {
		return Selection{}, nil, err
	}
	if len(newest) == 0 {
		return Selection{}, nil, fmt.Errorf("%w: %q has none with these filters; list runs with \"stepctl history\"", ErrNoRuns, q.Procedure)
	}
	s.Runs = newest
	if other := func(r database.Run) bool { return r.ProcedureSHA256 != newest[0].ProcedureSHA256 }; slices.ContainsFunc(newest, other) {
		filter.Content = newest[0].ProcedureSHA256
		if s.Runs, err = db.Runs(ctx, filter); err != nil {
			return Selection{}, nil, err
		}
		notes = append(notes, "other contents of the procedure were run in this time; their runs do not count")
	}
	slices.Reverse(s.Runs)
	return s, notes, nil
}

// split returns the older and the newer runs.
func (q Query) split(all Selection) (before, after Selection) {
	at := len(all.Runs) / 2
	before.Name, after.Name = "older half", "newer half"
	if !q.Split.IsZero() {
		when := q.Split.UTC().Format(time.DateTime)
		before.Name, after.Name = "before "+when, "since "+when
		for at = 0; at < len(all.Runs) && all.Runs[at].Started.Before(q.Split); {
			at++
		}
	}
	before.Runs, after.Runs = all.Runs[:at], all.Runs[at:]
	return before, after
}

// only returns the part of a table that is of the runs.
func (t *table) only(runs []string) *table {
	part := &table{keys: t.keys, points: map[Key][]Point{}}
	for key, points := range t.points {
		for _, p := range points {
			if _, found := slices.BinarySearch(runs, p.Run); found {
				part.points[key] = append(part.points[key], p)
			}
		}
	}
	return part
}

// steps adds the steps of the table.
func (t *Trend) steps(of *table) {
	compared := map[Key]Step{}
	for _, s := range t.Comparison.Steps {
		compared[s.Key] = s
	}
	for _, key := range of.keys {
		points := of.points[key]
		step := TrendStep{Step: compared[key], All: side(points), Points: points, Stability: stabilityOf(points)}
		if _, both := compared[key]; !both {
			step.Key, step.Change = key, statistics.Overall(statistics.Comparison{}, t.Options)
		}
		step.ChangedAt = changePoint(points, t.Options.Alpha/float64(len(of.keys)))
		t.Steps = append(t.Steps, step)
	}
}

// levelPoints returns the levels of the whole runs of the trend.
func (t *Trend) levelPoints(b, a *table) (points []Point) {
	levels := t.levels(b, a)
	for _, run := range t.Runs {
		if level := levels([]string{run.ID}); len(level) > 0 {
			points = append(points, Point{Run: run.ID, Took: &level[0]})
		}
	}
	return points
}
