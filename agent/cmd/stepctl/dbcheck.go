package main

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

func newDBCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [ID...]",
		Short: "check stored runs against their events",
		Long: `check derives verdict, times and steps of runs again from their events, and compares them with what
is stored, for all runs or for those named. A difference means that the database was changed by
another program, or is damaged.
` + databaseHelp + `

Exit codes:
  0  every run is as its events say
  1  a run differs from its events, or interrupted
  2  a run is not in the database, the database cannot be read, or the command line is wrong`,
		Example: `  stepctl db check
  stepctl db check 20261130T001422-7f3a9c`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDatabase(cmd, reading, func(ctx context.Context, db *database.DB) error {
				return checkRuns(ctx, db, args, cmd.OutOrStdout(), cmd.ErrOrStderr())
			})
		},
		ValidArgsFunction: completeFromDatabase(0, newestRuns),
	}
	cmd.Flags().SortFlags = false
	addDatabase(cmd)
	return cmd
}

// checkRuns checks the named runs, or all.
func checkRuns(ctx context.Context, db *database.DB, names []string, stdout, stderr io.Writer) error {
	progress := statusLine{to: stderr, width: func() int { return terminalWidth(stderr) }}
	shown := isTerminal(stderr)
	runs, wrong := 0, 0
	for id, err := range runIDs(ctx, db, names) {
		if err != nil {
			return err
		}
		problems, err := db.Check(ctx, id)
		if err != nil {
			return err
		}
		runs++
		if len(problems) > 0 {
			wrong++
		}
		if shown && (runs%100 == 0 || len(problems) > 0) {
			progress.erase()
			progress.draw(fmt.Sprintf("%d runs, %d differ", runs, wrong))
		}
		for _, problem := range problems {
			if _, err := fmt.Fprintf(stdout, "%s: %s\n", id, logging.Clean(problem)); err != nil {
				return written(err)
			}
		}
	}
	if shown {
		progress.erase()
	}
	if _, err := fmt.Fprintf(stdout, "%s checked, %d differ\n", phrase.Count(runs, "run"), wrong); err != nil {
		return written(err)
	}
	if wrong > 0 {
		return &exitError{code: exitFailed}
	}
	return nil
}

// runIDs returns the ids of the named runs, or of all that there are, the newest first.
func runIDs(ctx context.Context, db *database.DB, names []string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, name := range names {
			run, err := db.Run(ctx, name)
			if !yield(run.ID, err) {
				return
			}
		}
		var page database.Filter
		for len(names) == 0 {
			runs, err := db.Runs(ctx, page)
			if err != nil {
				yield("", err)
				return
			}
			for _, run := range runs {
				if !yield(run.ID, nil) {
					return
				}
				page.Before = run.ID
			}
			if len(runs) == 0 {
				return
			}
		}
	}
}
