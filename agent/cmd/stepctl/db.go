package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// databaseHelp is part of the help of the commands that need a database.
const databaseHelp = `
The database is that of --db, of the variable STEPCTL_DB, or of the key db in the settings file.`

func newDB() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "db",
		Short: "keep procedures and runs in a database",
		Long: `db keeps procedures and runs in a database: a SQLite file, or a PostgreSQL server. The commands
import, list, show, export, edit and diff are for procedures, add, prune and check for runs, steps and
sessions for what agents have judged.
` + databaseHelp + ` A
file is created when something is first stored in it, and its schema is brought up to date when it is
opened. stepctl run --db and load --db store runs as they happen.`,
		Args: onlyCommands,
		RunE: commandNeeded,
	}
	cmd.AddCommand(newDBImport(), newDBList(), newDBShow(), newDBExport(), newDBEdit(), newDBDiff(),
		newDBAdd(), newDBPrune(), newDBCheck(), newDBSync(), newDBInfo(),
		newDBSteps(), newDBSessions())
	return cmd
}

// onlyCommands refuses arguments of a command that has commands below it.
func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return cli.Usagef("unknown command %q of %s", args[0], cmd.CommandPath())
	}
	return nil
}

// commandNeeded is what a command does that does nothing by itself.
func commandNeeded(cmd *cobra.Command, _ []string) error {
	return cli.Usagef(`no command given; try "%s list" or --help`, cmd.CommandPath())
}

// addDatabase adds the flags that name the database.
func addDatabase(cmd *cobra.Command) { addSettings(cmd, "db") }

// A databaseUse is what a command does with the database.
type databaseUse struct {
	code   int  // exit code when the database cannot be used for that
	create bool // a file that is missing is created
	sync   bool // what waits in files for the database is taken in first
}

var (
	reading    = databaseUse{code: exitUsage, sync: true}
	storing    = databaseUse{code: exitEvidence, create: true, sync: true}
	inspecting = databaseUse{code: exitUsage}    // it takes nothing in
	syncing    = databaseUse{code: exitEvidence} // the work is to take in
	pruning    = databaseUse{code: exitEvidence, sync: true}
)

// withDatabase opens the database of the settings and calls work with it. The first signal ends the
// context. The error has the exit code: what work returns without one is a failure of the database,
// unless it names something that is not stored.
func withDatabase(cmd *cobra.Command, use databaseUse, work func(context.Context, *database.DB) error) error {
	settings, err := loadSettings(cmd)
	if err != nil {
		return err
	}
	ctx, release := interruptible(cmd)
	defer release()
	db, err := openDatabase(ctx, settings.Client, use)
	if err != nil {
		return err
	}
	if use.sync {
		takeIn(ctx, db, cmd.ErrOrStderr())
	}
	return use.exit(ctx, errors.Join(work(ctx, db), db.Close()))
}

// openDatabase opens the database of the settings. The error has the exit code.
func openDatabase(ctx context.Context, settings config.Client, use databaseUse) (*database.DB, error) {
	if settings.DB == "" {
		return nil, errors.New("no database is named; give --db PLACE, a file or postgres://USER@HOST/NAME, or set STEPCTL_DB")
	}
	if !use.create && !config.IsPostgres(settings.DB) {
		if _, err := os.Stat(settings.DB); errors.Is(err, fs.ErrNotExist) {
			return nil, &exitError{exitUsage, fmt.Errorf("the database %s does not exist; "+
				"name another, or store something in it first with stepctl run --db, db import or db add", settings.DB)}
		}
	}
	db, err := database.Open(ctx, settings.DB)
	if err != nil {
		return nil, use.exit(ctx, err)
	}
	return db, nil
}

// exit returns err with the exit code; nil for nil.
func (u databaseUse) exit(ctx context.Context, err error) error {
	var coded *exitError
	switch {
	case err == nil, errors.As(err, &coded):
		return err
	case ctx.Err() != nil:
		return &exitError{exitFailed, errors.New("interrupted")}
	case errors.Is(err, database.ErrMissing):
		return &exitError{exitUsage, err}
	}
	return &exitError{u.code, err}
}

// completeFromDatabase completes arguments from the database of the settings. It shows nothing where there is
// none, and creates none.
func completeFromDatabase(most int, words func(context.Context, *database.DB) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var found []string
		err := withDatabase(cmd, inspecting, func(ctx context.Context, db *database.DB) (err error) {
			found, err = words(ctx, db)
			return err
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// procedureNames returns the names of the procedures.
func procedureNames(ctx context.Context, db *database.DB) ([]string, error) {
	versions, err := db.Procedures(ctx)
	names := make([]string, len(versions))
	for i, v := range versions {
		names[i] = v.Name
	}
	return names, err
}
