package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
)

func newDBSync() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "take in events that wait in files for the database",
		Long: `sync takes in what runs have left in files while the database was away. The other commands do
so as well, before their own work. The files are in $XDG_STATE_HOME/stepctl, usually
~/.local/state/stepctl, of the machine and the user of the runs. They are removed when their events
are stored.
` + databaseHelp + `

Exit codes:
  0  no event waits for this database any more, but those of runs that go on
  2  a file is damaged, and stays
  4  the database could not store the events`,
		Example: `  stepctl db sync --db postgres://lab@db/runs`,
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withDatabase(cmd, syncing, func(ctx context.Context, db *database.DB) error {
				result, err := db.Sync(ctx)
				if err != nil {
					return err
				}
				writeProblems(cmd.ErrOrStderr(), result.Problems)
				text := fmt.Sprintf("%s from %s stored", phrase.Count(int(result.Lines), "event"), phrase.Count(int(result.Files), "file"))
				if result.Busy > 0 {
					text += fmt.Sprintf("; %s of runs that go on", phrase.Count(int(result.Busy), "file"))
				}
				if _, err := fmt.Fprintln(cmd.OutOrStdout(), text); err != nil {
					return written(err)
				}
				if len(result.Problems) > 0 {
					return &exitError{code: exitUsage}
				}
				return nil
			})
		},
	}
	cmd.Flags().SortFlags = false
	addDatabase(cmd)
	return cmd
}

// takeIn takes in what waits in files, before other work. It does not keep that from being done.
func takeIn(ctx context.Context, db *database.DB, stderr io.Writer) {
	result, err := db.Sync(ctx)
	if err != nil {
		result.Problems = append(result.Problems, err)
	}
	writeProblems(stderr, result.Problems)
	if result.Lines > 0 {
		_, _ = fmt.Fprintf(stderr, "stepctl: %s stored that had waited for the database\n", phrase.Count(int(result.Lines), "event"))
	}
}

func writeProblems(stderr io.Writer, problems []error) {
	for _, err := range problems {
		_, _ = fmt.Fprintf(stderr, "stepctl: events wait on: %v\n", err)
	}
}
