package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/history"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

func newHistoryBaseline() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "baseline",
		Short: "name sets of runs that later runs are compared with",
		Long: `baseline keeps baselines: sets of runs of one procedure, by name. Ten runs or more make a useful
baseline, see stepctl history compare --help. Its runs are kept longer than others.
` + databaseHelp,
		Args: onlyCommands,
		RunE: commandNeeded,
	}
	cmd.AddCommand(newBaselineSet(), newBaselineList(), newBaselineDelete())
	return cmd
}

func newBaselineSet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set NAME RUN...",
		Short: "make runs a baseline of their procedure",
		Long: `set makes runs a baseline of their procedure. It replaces the procedure's baseline of that name.
` + databaseHelp,
		Example: `  stepctl history baseline set release build=41
  stepctl history baseline set release last,7f3a9c,81d20e`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return errors.New("give the baseline a name, and name its runs")
			}
			return database.CheckName("baseline", args[0])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDatabase(cmd, storing, func(ctx context.Context, db *database.DB) error {
				procedure, runs, err := baselineRuns(ctx, db, args[1:])
				if err != nil {
					return err
				}
				if err := db.SetBaseline(ctx, procedure, args[0], runs); err != nil {
					return err
				}
				return written(writeLines(cmd.OutOrStdout(), fmt.Sprintf("%s: %s of %s", args[0], phrase.Count(len(runs), "run"), procedure)))
			})
		},
	}
	cmd.Flags().SortFlags = false
	addDatabase(cmd)
	return cmd
}

// baselineRuns returns the runs that texts name, and their procedure.
func baselineRuns(ctx context.Context, db *database.DB, texts []string) (procedure string, runs []string, err error) {
	for _, text := range texts {
		selected, err := history.Select(ctx, db, text, "")
		if err != nil {
			return "", nil, &exitError{exitUsage, err} // nothing is stored yet
		}
		for _, run := range selected.Runs {
			switch {
			case procedure != "" && run.Procedure != procedure:
				return "", nil, &exitError{exitUsage, fmt.Errorf("runs of %q and %q; a baseline has runs of one procedure", procedure, run.Procedure)}
			case run.State == database.Running:
				return "", nil, &exitError{exitUsage, fmt.Errorf("the run %s has not ended; wait for it, or name others", run.ID)}
			}
			procedure = run.Procedure
			runs = append(runs, run.ID)
		}
	}
	slices.Sort(runs)
	return procedure, slices.Compact(runs), nil
}

func newBaselineList() *cobra.Command {
	var format listFormat
	var procedure string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the baselines",
		Long: `list lists the baselines with their procedure and number of runs.
` + databaseHelp,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withDatabase(cmd, reading, func(ctx context.Context, db *database.DB) error {
				baselines, err := db.Baselines(ctx, procedure)
				if err != nil {
					return err
				}
				return writeList(cmd.OutOrStdout(), format, baselineColumns(), allRows(baselines))
			})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&procedure, "procedure", "", "baselines of the procedure `NAME`")
	completeFlagBy(cmd, "procedure", completeFromDatabase(0, procedureNames))
	format.register(cmd)
	addDatabase(cmd)
	return cmd
}

func baselineColumns() []column[database.Baseline] {
	return []column[database.Baseline]{
		{name: "procedure", value: func(b database.Baseline) any { return b.Procedure }},
		{name: "name", value: func(b database.Baseline) any { return b.Name }},
		{name: "runs", value: func(b database.Baseline) any { return len(b.Runs) }},
		{name: "oldest", value: func(b database.Baseline) any { return b.Runs[0] }},
		{name: "newest", value: func(b database.Baseline) any { return b.Runs[len(b.Runs)-1] }},
		{name: "made", value: func(b database.Baseline) any { return b.Made }, text: func(b database.Baseline) string { return localTime(b.Made) }},
	}
}

func newBaselineDelete() *cobra.Command {
	var procedure string
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "delete a baseline and keep its runs",
		Long: `delete deletes a baseline. Its runs remain, until they are removed by age, number or size.
` + databaseHelp,
		Example: `  stepctl history baseline delete release --procedure door`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("name one baseline, got %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDatabase(cmd, storing, func(ctx context.Context, db *database.DB) error {
				of, err := baselineOf(ctx, db, args[0], procedure)
				if err == nil {
					err = db.DropBaseline(ctx, of, args[0])
				}
				return err
			})
		},
		ValidArgsFunction: completeFromDatabase(1, baselineNames),
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&procedure, "procedure", "", "`NAME` of the procedure, if several have such a baseline")
	completeFlagBy(cmd, "procedure", completeFromDatabase(0, procedureNames))
	addDatabase(cmd)
	return cmd
}

// baselineOf returns the procedure of the baseline with the name.
func baselineOf(ctx context.Context, db *database.DB, name, procedure string) (string, error) {
	baselines, err := db.Baselines(ctx, procedure)
	if err != nil {
		return "", err
	}
	var of []string
	for _, b := range baselines {
		if b.Name == name {
			of = append(of, b.Procedure)
		}
	}
	switch len(of) {
	case 0:
		return "", fmt.Errorf("the baseline %q is %w; see stepctl history baseline list", name, database.ErrMissing)
	case 1:
		return of[0], nil
	}
	return "", &exitError{exitUsage, fmt.Errorf("the procedures %s have a baseline %q each; name one with --procedure", logging.Clean(phrase.List(of)), name)}
}

// baselineNames returns the names of the baselines, for completions.
func baselineNames(ctx context.Context, db *database.DB) ([]string, error) {
	baselines, err := db.Baselines(ctx, "")
	var names []string
	for _, b := range baselines {
		names = append(names, b.Name)
	}
	return names, err
}
