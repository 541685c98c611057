package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
)

func newHistory() *cobra.Command {
	var format listFormat
	var filter runFilter
	cmd := &cobra.Command{
		Use:   "history",
		Short: "list stored runs, compare them, and follow procedures",
		Long: `history lists the runs in the database, the newest first. Flags select runs; a label may be given
several times, and a run must have all of them. A --since or --until is a time such as 2026-11-30 or
"2026-11-30 14:00" in the local time zone, RFC 3339, or an age such as 12h or 30d.

The commands below it show one run, compare runs, follow a procedure through its runs, find steps
with an outcome that varies, and name sets of runs as baselines. Where they take RUN, it is the id of
a run or a unique part of it, "last" for the newest run, the name of a baseline, a label as KEY=VALUE
for all runs with it, or several of these separated by commas.
` + databaseHelp,
		Example: `  stepctl history --procedure door --verdict fail --since 30d
  stepctl history --label build=42 --json | jq -r .run
  stepctl history compare last release
  stepctl history trend door --fail-on slower,flaky`,
		Args: onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error {
			selected, err := filter.filter()
			if err != nil {
				return err
			}
			return withDatabase(cmd, reading, func(ctx context.Context, db *database.DB) error {
				found := false
				err := writeList(cmd.OutOrStdout(), format, runColumns(), noting(&found, pagesOf(ctx, db, selected)))
				if err == nil && !found {
					// A closed stderr does not prevent the list.
					_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "stepctl: no run matches")
				}
				return err
			})
		},
	}
	cmd.Flags().SortFlags = false
	filter.register(cmd)
	cmd.Flags().StringVar(&filter.procedure, "procedure", "", "runs of the procedure `NAME`")
	cmd.Flags().StringVar(&filter.verdict, "verdict", "", "runs with the verdict `pass|fail|undecided`")
	cmd.Flags().StringVar(&filter.state, "state", "", "runs in the state `running|ended|interrupted`")
	cmd.Flags().StringVar(&filter.baseline, "baseline", "", "runs of the baseline `NAME`")
	cmd.Flags().IntVar(&filter.limit, "limit", database.DefaultLimit, "`NUMBER` of runs, the newest; 0 for all")
	format.register(cmd)
	addDatabase(cmd)
	completeFlagBy(cmd, "procedure", completeFromDatabase(0, procedureNames))
	completeFlag(cmd, "verdict", verdicts())
	completeFlag(cmd, "state", runStates())
	cmd.AddCommand(newHistoryShow(), newHistoryCompare(), newHistoryTrend(), newHistoryFlaky(), newHistoryBaseline())
	return cmd
}

// runColumns are the columns of a list of runs.
func runColumns() []column[database.Run] {
	return []column[database.Run]{
		{name: "run", value: func(r database.Run) any { return r.ID }},
		{name: "started", value: func(r database.Run) any { return r.Started }, text: func(r database.Run) string { return localTime(r.Started) }},
		{name: "kind", value: func(r database.Run) any { return string(r.Kind) }},
		{name: "procedure", value: func(r database.Run) any { return r.Procedure }, text: procedureOf},
		{name: "version", value: func(r database.Run) any { return orNone(r.Version) }, hidden: true},
		{name: "procedure_sha256", value: func(r database.Run) any { return r.ProcedureSHA256 }, hidden: true},
		{name: "board", value: func(r database.Run) any { return r.Board }},
		{name: "verdict", value: func(r database.Run) any { return r.Verdict }, text: verdictOf},
		{name: "state", value: func(r database.Run) any { return string(r.State) }, hidden: true},
		{name: "cause", value: func(r database.Run) any { return r.Cause }, hidden: true},
		{name: "passed", value: func(r database.Run) any { return r.Passed }, text: func(r database.Run) string { return fmt.Sprintf("%d of %d", r.Passed, r.Steps) }},
		{name: "failed", value: func(r database.Run) any { return r.Failed }, hidden: true},
		{name: "undecided", value: func(r database.Run) any { return r.Undecided }, hidden: true},
		{name: "steps", value: func(r database.Run) any { return r.Steps }, hidden: true},
		{name: "duration", value: func(r database.Run) any { return r.Duration.Seconds() }, text: func(r database.Run) string { return spanOf(r.Duration.Seconds()) }},
		{name: "labels", value: func(r database.Run) any { return labelsOf(r.Labels) }, text: func(r database.Run) string { return fmt.Sprint(labelsOf(r.Labels)) }},
		{name: "address", value: func(r database.Run) any { return r.Address }, hidden: true},
		{name: "session", value: func(r database.Run) any { return r.Session }, hidden: true},
		{name: "agent", value: func(r database.Run) any { return r.Agent }, hidden: true},
		{name: "client", value: func(r database.Run) any { return r.Client }, hidden: true},
		{name: "host", value: func(r database.Run) any { return r.Host }, hidden: true},
		{name: "entry", value: func(r database.Run) any { return orNone(r.Entry) }, hidden: true},
		{name: "attempt", value: func(r database.Run) any { return orNone(r.Attempt) }, hidden: true},
		{name: "worker", value: func(r database.Run) any { return r.Worker }, hidden: true},
	}
}

// A labels is the labels of a run: an object in JSON, KEY=VALUE separated by commas elsewhere.
type labels map[string]string

func labelsOf(of map[string]string) labels {
	if of == nil {
		return labels{}
	}
	return of
}

// String returns the labels in the order of their keys.
func (l labels) String() string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(l)) {
		pairs = append(pairs, key+"="+l[key])
	}
	return strings.Join(pairs, ",")
}

// procedureOf names the procedure of a run with its version, if it has one.
func procedureOf(r database.Run) string {
	if r.Version == 0 {
		return r.Procedure
	}
	return versionName(database.Version{Name: r.Procedure, Version: r.Version})
}

// verdictOf returns the verdict of a run, and its state unless it has ended.
func verdictOf(r database.Run) string {
	switch {
	case r.State == database.Ended:
		return r.Verdict
	case r.Verdict == "undecided":
		return string(r.State)
	}
	return r.Verdict + ", " + string(r.State)
}

// orNone returns a number that is 0 where there is none.
func orNone(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}
