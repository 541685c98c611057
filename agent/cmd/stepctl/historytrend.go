package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/history"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
)

// trendFlags are the command line of history trend and flaky.
type trendFlags struct {
	filter  runFilter
	judge   judgement
	format  listFormat
	step    int64
	against string
	split   string
	last    int
}

func newHistoryTrend() *cobra.Command {
	var flags trendFlags
	cmd := &cobra.Command{
		Use:   "trend PROCEDURE[@VERSION]",
		Short: "follow a procedure and its steps through its runs",
		Long: `trend shows for each step of a procedure the median and spread of its time in the last runs, what
changed, and how steady its outcome is. Only runs with the content of the newest run count, or with
that of VERSION.

It compares the newer half of the runs with the older half; with --against, all of them with a
baseline or other runs; with --split, the runs since a time or a run with those before. It also
says at which run the level changed, where that can be told (Pettitt's test).
` + statisticsHelp + `

--fail-on fail finds steps that all older runs passed, and not all newer ones; --fail-on flaky finds
steps whose outcome changed more than once; --fail-on few, that there are too few runs to compare
them as a whole.

Exit codes:
  0  compared, and nothing of --fail-on found
  1  something of --fail-on found
  2  the command line is wrong, or the database cannot be read or has no such runs
` + databaseHelp,
		Example: `  stepctl history trend door --last 20
  stepctl history trend door --step 3 --board bench-7 --csv
  stepctl history trend door --against release --last 5 --fail-on slower,flaky`,
		Args: oneVersion,
		RunE: func(cmd *cobra.Command, args []string) error {
			return flags.run(cmd, args[0], func(t *history.Trend) error { return flags.write(cmd.OutOrStdout(), t) })
		},
		ValidArgsFunction: completeFromDatabase(1, procedureNames),
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().Int64Var(&flags.step, "step", 0, "show the runs of the step with the id `N` (default: all steps)")
	cmd.Flags().StringVar(&flags.against, "against", "", "compare with the runs that `RUN` names, such as a baseline")
	cmd.Flags().StringVar(&flags.split, "split", "", "compare the runs since `RUN|TIME` with those before")
	flags.register(cmd)
	flags.judge.register(cmd, "slower", "faster", "fail", "few", "flaky")
	flags.format.register(cmd)
	addDatabase(cmd)
	return cmd
}

// register adds the flags that trend and flaky share.
func (f *trendFlags) register(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.last, "last", history.DefaultLast, fmt.Sprintf("`NUMBER` of runs, the newest; at most %d", history.MaxRuns))
	f.filter.register(cmd)
}

// run reads the trend, writes it and returns what --fail-on finds.
func (f *trendFlags) run(cmd *cobra.Command, procedure string, write func(*history.Trend) error) error {
	options, err := f.judge.options()
	if err != nil {
		return err
	}
	filter, err := f.filter.filter()
	if err != nil {
		return err
	}
	if f.last < 1 || f.last > history.MaxRuns {
		return fmt.Errorf("--last is a number of runs from 1 to %d", history.MaxRuns)
	}
	if f.against != "" && f.split != "" {
		return errors.New("--against and --split both say what to compare; give one")
	}
	query := history.Query{
		Kind: filter.Kind, Board: filter.Board, Labels: filter.Labels, Since: filter.Since, Until: filter.Until, Last: f.last, Against: f.against,
	}
	if query.Procedure, query.Version, err = parseVersion(procedure); err != nil {
		return err
	}
	var trend *history.Trend
	err = withDatabase(cmd, reading, func(ctx context.Context, db *database.DB) error {
		if query.Split, err = f.splitAt(ctx, db); err != nil {
			return err
		}
		trend, err = history.ReadTrend(ctx, db, query, options)
		return err
	})
	if err == nil {
		err = f.onlyStep(trend)
	}
	if err == nil {
		err = write(trend)
	}
	if err == nil {
		err = f.judge.finding(func(word string) string { return foundInTrend(trend, word) })
	}
	return err
}

// splitAt returns the time that --split names; zero without the flag.
func (f *trendFlags) splitAt(ctx context.Context, db *database.DB) (time.Time, error) {
	if at, err := parsePast(f.split, time.Now()); err == nil {
		return at, nil
	}
	run, err := db.Run(ctx, f.split)
	return run.Started, err
}

// onlyStep leaves out all steps but that of --step.
func (f *trendFlags) onlyStep(t *history.Trend) error {
	if f.step == 0 {
		return nil
	}
	t.Steps = slices.DeleteFunc(t.Steps, func(s history.TrendStep) bool { return s.StepID != f.step })
	if len(t.Steps) == 0 {
		return &exitError{exitUsage, fmt.Errorf("no step of %q has the id %d", t.Procedure, f.step)}
	}
	return nil
}

// foundInTrend returns the sentence of a word that is found in a trend; empty if it is not.
func foundInTrend(t *history.Trend, word string) string {
	if word != "flaky" {
		return foundIn(t.Comparison, word)
	}
	var steps []string
	for _, s := range t.Steps {
		if s.Course == history.Flaky {
			steps = append(steps, s.Key.String())
		}
	}
	if len(steps) == 0 {
		return ""
	}
	return fmt.Sprintf("%s flaky in the last %s", stepsAre(steps), phrase.Count(len(t.Runs), "run"))
}

// write writes the trend: one object as JSON, its steps or the runs of one step as CSV, or text.
func (f *trendFlags) write(to io.Writer, t *history.Trend) error {
	switch {
	case f.format.json:
		return written(writeJSON(to, t))
	case f.format.csv && f.step != 0:
		return writeList(to, f.format, pointColumns(t), allRows(pointsOf(t)))
	case f.format.csv:
		return writeList(to, f.format, trendColumns(), allRows(t.Steps))
	}
	if err := written(writeLines(to, trendHeading(t)...)); err != nil {
		return err
	}
	if err := writeList(to, f.format, trendTable(t), allRows(t.Steps)); err != nil {
		return err
	}
	if f.step != 0 {
		return writeList(to, f.format, pointColumns(t), allRows(pointsOf(t)))
	}
	return written(writeLines(to, wholeSentence(t.Comparison), stepsSentence(t.Comparison), changedSentence(t)))
}

// changedSentence says at which run the level changed; empty if that cannot be told.
func changedSentence(t *history.Trend) string {
	if t.ChangedAt == "" {
		return ""
	}
	return fmt.Sprintf("the level changed at about the run %s; to compare the runs since then, add --split %[1]s", t.ChangedAt)
}

// trendHeading says which runs the trend is of.
func trendHeading(t *history.Trend) []string {
	first, last := t.Runs[0], t.Runs[len(t.Runs)-1]
	line := fmt.Sprintf("%s: %s from %s to %s", t.Procedure, phrase.Count(len(t.Runs), "run"), localTime(first.Started), localTime(last.Started))
	return append([]string{line}, headingOf(t.Comparison)...)
}
