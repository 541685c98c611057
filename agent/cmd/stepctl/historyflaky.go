package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/history"
	"github.com/stepagent/stepagent/agent/internal/client/history/statistics"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
)

func newHistoryFlaky() *cobra.Command {
	var flags trendFlags
	cmd := &cobra.Command{
		Use:   "flaky PROCEDURE[@VERSION]",
		Short: "list the steps whose outcome varies between runs",
		Long: `flaky lists the steps that did not pass in all of the last runs, and how their outcome went:
  flaky          it changed more than once between passed and not passed
  failing since  it changed once, and something else has probably changed too
  passing since  the same the other way
  failing        no run passed the step
Only runs with the content of the newest run count, or with that of VERSION, so the procedure is not
what varies. Runs that did not decide the step do not count.

Exit codes:
  0  listed, and nothing of --fail-on found
  1  something of --fail-on found
  2  the command line is wrong, or the database cannot be read or has no such runs
` + databaseHelp,
		Example: `  stepctl history flaky door --last 200
  stepctl history flaky door --board bench-7 --fail-on flaky`,
		Args: oneVersion,
		RunE: func(cmd *cobra.Command, args []string) error {
			return flags.run(cmd, args[0], func(t *history.Trend) error { return flags.writeFlaky(cmd.OutOrStdout(), t) })
		},
		ValidArgsFunction: completeFromDatabase(1, procedureNames),
	}
	flags.judge = judgement{confidence: 100 * (1 - statistics.Defaults.Alpha), words: []string{"flaky"}}
	cmd.Flags().SortFlags = false
	flags.register(cmd)
	cmd.Flags().StringSliceVar(&flags.judge.failOn, "fail-on", nil, "exit with 1 if any of the `WORDS` is found: flaky")
	completeFlag(cmd, "fail-on", flags.judge.words)
	flags.format.register(cmd)
	addDatabase(cmd)
	return cmd
}

// writeFlaky writes the steps that did not always pass.
func (f *trendFlags) writeFlaky(to io.Writer, t *history.Trend) error {
	varying := slices.DeleteFunc(slices.Clone(t.Steps), func(s history.TrendStep) bool {
		return s.Course == history.Passing || s.Course == history.Unknown
	})
	if err := writeList(to, f.format, flakyColumns(), allRows(varying)); err != nil {
		return err
	}
	if f.format.json || f.format.csv {
		return nil
	}
	return written(writeLines(to, fmt.Sprintf("%d of %s did not always pass in %s", len(varying), phrase.Count(len(t.Steps), "step"), phrase.Count(len(t.Runs), "run"))))
}

func flakyColumns() []column[history.TrendStep] {
	return []column[history.TrendStep]{
		{name: "step", value: func(s history.TrendStep) any { return s.Key.String() }},
		{name: "course", value: func(s history.TrendStep) any { return string(s.Course) }},
		{name: "since", value: func(s history.TrendStep) any { return s.Since }},
		{name: "changes", value: func(s history.TrendStep) any { return s.Changes }},
		{name: "not_passed", value: func(s history.TrendStep) any { n, _ := s.All.NotPassed(); return n }, text: func(s history.TrendStep) string { return notPassedOf(s.All) }},
		{name: "decided", value: func(s history.TrendStep) any { _, n := s.All.NotPassed(); return n }, hidden: true},
	}
}

// courseOf says how the outcome of a step went.
func courseOf(s history.TrendStep) string {
	switch s.Course {
	case history.FailingSince, history.PassingSince:
		return string(s.Course) + " " + s.Since
	}
	return join(", ", string(s.Course), notPassedOf(s.All))
}

// trendTable are the columns of a trend for people. Where no level changed, the column is left out.
func trendTable(t *history.Trend) []column[history.TrendStep] {
	var columns []column[history.TrendStep]
	for _, c := range stepTable(t.Comparison)[:5] {
		columns = append(columns, column[history.TrendStep]{name: c.name, text: func(s history.TrendStep) string { return c.text(s.Step) }})
	}
	if slices.ContainsFunc(t.Steps, func(s history.TrendStep) bool { return s.ChangedAt != "" }) {
		columns = append(columns, column[history.TrendStep]{name: "level_changed_at", text: func(s history.TrendStep) string { return s.ChangedAt }})
	}
	return append(columns, column[history.TrendStep]{name: "outcome", text: courseOf})
}

// trendColumns are the columns of a trend for programs.
func trendColumns() []column[history.TrendStep] {
	var columns []column[history.TrendStep]
	for _, c := range stepColumns() {
		columns = append(columns, column[history.TrendStep]{name: c.name, value: func(s history.TrendStep) any { return c.value(s.Step) }})
	}
	columns = append(columns, sideColumns("all", func(s history.TrendStep) history.Side { return s.All })...)
	return append(columns,
		column[history.TrendStep]{name: "course", value: func(s history.TrendStep) any { return string(s.Course) }},
		column[history.TrendStep]{name: "changes", value: func(s history.TrendStep) any { return s.Changes }},
		column[history.TrendStep]{name: "since", value: func(s history.TrendStep) any { return s.Since }},
		column[history.TrendStep]{name: "level_changed_at", value: func(s history.TrendStep) any { return s.ChangedAt }},
	)
}

// A trendPoint is one run of a step.
type trendPoint struct {
	key   history.Key
	point history.Point
}

// pointsOf returns the runs of the steps of a trend.
func pointsOf(t *history.Trend) (points []trendPoint) {
	for _, s := range t.Steps {
		for _, p := range s.Points {
			points = append(points, trendPoint{s.Key, p})
		}
	}
	return points
}

func pointColumns(t *history.Trend) []column[trendPoint] {
	runs := map[string]history.TrendRun{}
	for _, run := range t.Runs {
		runs[run.ID] = run
	}
	of := func(p trendPoint) history.TrendRun { return runs[p.point.Run] }
	return []column[trendPoint]{
		{name: "step", value: func(p trendPoint) any { return p.key.String() }},
		{name: "run", value: func(p trendPoint) any { return p.point.Run }},
		{name: "started", value: func(p trendPoint) any { return of(p).Started }, text: func(p trendPoint) string { return localTime(of(p).Started) }},
		{name: "board", value: func(p trendPoint) any { return of(p).Board }},
		{name: "outcome", value: func(p trendPoint) any { return p.point.Outcome }},
		{name: "response", value: func(p trendPoint) any {
			if p.point.Took == nil {
				return nil
			}
			return *p.point.Took
		}, text: func(p trendPoint) string {
			if p.point.Took == nil {
				return ""
			}
			return spanOf(*p.point.Took)
		}},
	}
}
