package history

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/history/statistics"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
)

// A Group describes the runs of one side of a comparison.
type Group struct {
	// Name is what the user called them.
	Name string `json:"name"`
	// Runs are their ids, the oldest first.
	Runs []string `json:"runs"`
	// The others are the different values that the runs have, in order of their first run.
	Procedures []string `json:"procedures"`
	Contents   []string `json:"procedure_sha256"`
	Boards     []string `json:"boards"`
	Agents     []string `json:"agents"`
	Clients    []string `json:"clients"`
}

// What the comparison of the runs as a whole rests on.
const (
	// ByRuns: each run is one value, the median ratio of its steps to the medians of all runs.
	ByRuns = "runs"
	// BySteps: there are too few runs for that, so each step is one value, the ratio of the medians of
	// the two sides. What is said holds for these runs.
	BySteps = "steps"
	// ByThroughput: load tests are compared as a whole by their throughput.
	ByThroughput = "throughput"
)

// A Comparison compares two groups of runs.
type Comparison struct {
	Before Group `json:"before"`
	After  Group `json:"after"`
	// Notes say what limits the comparison, in sentences for users.
	Notes []string `json:"notes"`
	// Whole is the change of the runs as a whole, and By what it rests on.
	Whole statistics.Change `json:"whole"`
	By    string            `json:"by"`
	// Steps are the steps that both sides have, in order. They are one family.
	Steps []Step `json:"steps"`
	// Options are those that the words rest on.
	Options statistics.Options `json:"options"`
}

// A Step is one step, or one measure of load tests, on both sides.
type Step struct {
	Key
	Before Side `json:"before"`
	After  Side `json:"after"`
	// Change is that of the time until the reply.
	Change statistics.Change `json:"change"`
	// NewlyFailing says that all runs before passed the step, and not all after.
	NewlyFailing bool `json:"newly_failing,omitzero"`
}

// Compare compares two selections of runs.
func Compare(ctx context.Context, db *database.DB, before, after Selection, o statistics.Options) (*Comparison, error) {
	b, err := readTable(ctx, db, before.Runs)
	if err != nil {
		return nil, err
	}
	a, err := readTable(ctx, db, after.Runs)
	if err != nil {
		return nil, err
	}
	return compare(before, after, b, a, o), nil
}

// compare compares the steps that both tables have, in the order of the second.
func compare(before, after Selection, b, a *table, o statistics.Options) *Comparison {
	c := &Comparison{Before: before.group(), After: after.group(), Steps: []Step{}, Options: o}
	var family []statistics.Comparison
	for _, key := range a.keys {
		if !a.has(key) || !b.has(key) {
			continue
		}
		step := Step{Key: key, Before: side(b.points[key]), After: side(a.points[key])}
		failedBefore, knownBefore := step.Before.NotPassed()
		failedAfter, _ := step.After.NotPassed()
		step.NewlyFailing = knownBefore > 0 && failedBefore == 0 && failedAfter > 0
		c.Steps = append(c.Steps, step)
		family = append(family, statistics.Sets(times(b.points[key]), times(a.points[key])))
	}
	for i, change := range statistics.Judge(family, o) {
		c.Steps[i].Change = change
	}
	c.whole(b, a)
	c.Notes = notes(before, after, b, a, c)
	return c
}

// whole judges the runs as a whole.
func (c *Comparison) whole(b, a *table) {
	if throughput := (Key{Measure: perStep}); b.has(throughput) || a.has(throughput) {
		c.By = ByThroughput
		c.Whole = statistics.Overall(statistics.Sets(times(b.points[throughput]), times(a.points[throughput])), c.Options)
		return
	}
	levels := c.levels(b, a)
	c.By, c.Whole = ByRuns, statistics.Overall(statistics.Sets(levels(c.Before.Runs), levels(c.After.Runs)), c.Options)
	if c.Whole.Word == statistics.TooFew {
		var before, after []float64
		for _, s := range c.Steps {
			if s.Before.Times.N > 0 && s.After.Times.N > 0 {
				before, after = append(before, s.Before.Times.Median), append(after, s.After.Times.Median)
			}
		}
		c.By, c.Whole = BySteps, statistics.Overall(statistics.Pairs(before, after), c.Options)
	}
}

// levels returns a function that gives the levels of runs: the median ratio of the times of a run's
// steps to the medians of all runs of both sides. It treats both sides alike, so that without a change
// no order of the levels is likelier than another. Runs without times are left out.
func (c *Comparison) levels(b, a *table) func(runs []string) []float64 {
	ratios := map[string][]float64{}
	for _, s := range c.Steps {
		points := slices.Concat(b.points[s.Key], a.points[s.Key])
		median := statistics.Summarize(times(points)).Median
		for _, p := range points {
			if p.Took != nil && median > 0 {
				ratios[p.Run] = append(ratios[p.Run], *p.Took/median)
			}
		}
	}
	return func(runs []string) (levels []float64) {
		for _, run := range runs {
			if len(ratios[run]) > 0 {
				levels = append(levels, statistics.Summarize(ratios[run]).Median)
			}
		}
		return levels
	}
}

// NewlyFailing returns the steps that all runs before passed, and not all after.
func (c *Comparison) NewlyFailing() (steps []Step) {
	for _, s := range c.Steps {
		if s.NewlyFailing {
			steps = append(steps, s)
		}
	}
	return steps
}

// Confidence returns that of the intervals of the steps, as a share; NaN if there are none.
func (c *Comparison) Confidence() float64 {
	if len(c.Steps) == 0 {
		return math.NaN()
	}
	return c.Steps[0].Change.Confidence
}

// group describes a selection.
func (s Selection) group() Group {
	g := Group{Name: s.Name, Runs: []string{}}
	add := func(to *[]string, value string) {
		if !slices.Contains(*to, value) {
			*to = append(*to, value)
		}
	}
	for _, run := range s.Runs {
		g.Runs = append(g.Runs, run.ID)
		add(&g.Procedures, run.Procedure)
		add(&g.Contents, run.ProcedureSHA256)
		add(&g.Boards, run.Board)
		add(&g.Agents, run.Agent)
		add(&g.Clients, run.Client)
	}
	return g
}

// shorten lists the first values, for a note.
func shorten(values []string) string {
	const most = 4
	var names []string
	for _, value := range values[:min(most, len(values))] {
		names = append(names, cmp.Or(value, "(none)"))
	}
	if len(values) > most {
		names = append(names, fmt.Sprintf("%d more", len(values)-most))
	}
	return phrase.List(names)
}
