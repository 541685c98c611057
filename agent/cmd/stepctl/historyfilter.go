package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/report"
)

// A runFilter is the flags that select runs.
type runFilter struct {
	procedure, board, verdict, state, kind, baseline string
	labels                                           []string
	since, until                                     string
	limit                                            int
}

// register adds the flags that all lists of runs have.
func (f *runFilter) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.StringVar(&f.board, "board", "", "runs on the board `NAME`")
	set.StringArrayVar(&f.labels, "label", nil, "runs with the label `KEY=VALUE`; may be repeated")
	set.StringVar(&f.since, "since", "", "runs that started at `TIME` or later")
	set.StringVar(&f.until, "until", "", "runs that started before `TIME`")
	set.StringVar(&f.kind, "kind", "", "runs of the kind `run|load`")
	completeFlag(cmd, "kind", runKinds())
}

func runKinds() []string {
	return []string{string(database.KindRun), string(database.KindLoad)}
}

func runStates() []string {
	return []string{string(database.Running), string(database.Ended), string(database.Interrupted)}
}

func verdicts() []string { return []string{"pass", "fail", "undecided"} }

// filter returns the filter of the flags. The error is one of the command line.
func (f *runFilter) filter() (database.Filter, error) {
	labels, err := parseLabels(f.labels)
	if err != nil {
		return database.Filter{}, err
	}
	for _, choice := range []struct {
		flag, value string
		of          []string
	}{{"kind", f.kind, runKinds()}, {"state", f.state, runStates()}, {"verdict", f.verdict, verdicts()}} {
		if choice.value != "" && !slices.Contains(choice.of, choice.value) {
			return database.Filter{}, fmt.Errorf("--%s is one of %s, not %q", choice.flag, strings.Join(choice.of, ", "), choice.value)
		}
	}
	if f.limit < 0 {
		return database.Filter{}, errors.New("--limit is a number of runs, 0 for all")
	}
	filter := database.Filter{
		Kind: database.Kind(f.kind), Procedure: f.procedure, Board: f.board, Verdict: f.verdict, State: database.State(f.state),
		Baseline: f.baseline, Labels: labels, Limit: f.limit,
	}
	now := time.Now()
	if filter.Since, err = parsePast(f.since, now); err == nil {
		filter.Until, err = parsePast(f.until, now)
	}
	return filter, err
}

// parsePast reads a time of the past: a date, a date and a time in the local time zone, RFC 3339, or
// an age such as 12h or 30d. It returns the zero time for no text.
func parsePast(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil && at.Year() >= 1970 {
			return at, nil
		}
	}
	if age, err := parseAge(text); err == nil {
		return now.Add(-age), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time; write a date such as 2026-11-30, \"2026-11-30 14:00\", or an age such as 12h or 30d", text)
}

// pageRuns is how many runs a list reads at once, which bounds memory.
const pageRuns = 1000

// pagesOf returns the runs of a filter, the newest first; with a limit of 0 all of them.
func pagesOf(ctx context.Context, db *database.DB, f database.Filter) iter.Seq2[database.Run, error] {
	return func(yield func(database.Run, error) bool) {
		left := f.Limit
		for page := f; ; {
			page.Limit = pageRuns
			if f.Limit > 0 {
				page.Limit = min(left, pageRuns)
			}
			runs, err := db.Runs(ctx, page)
			if err != nil {
				yield(database.Run{}, err)
				return
			}
			for _, run := range runs {
				if !yield(run, nil) {
					return
				}
			}
			if left -= len(runs); len(runs) < page.Limit || f.Limit > 0 && left == 0 {
				return
			}
			page.Before = runs[len(runs)-1].ID
		}
	}
}

// noting sets found once there is a run.
func noting(found *bool, runs iter.Seq2[database.Run, error]) iter.Seq2[database.Run, error] {
	return func(yield func(database.Run, error) bool) {
		for run, err := range runs {
			*found = true
			if !yield(run, err) {
				return
			}
		}
	}
}

// spanOf formats seconds for people.
func spanOf(seconds float64) string { return report.Span(database.Duration(seconds)) }
