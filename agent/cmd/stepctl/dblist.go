package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
)

func newDBList() *cobra.Command {
	var format listFormat
	cmd := &cobra.Command{
		Use:   "list [NAME]",
		Short: "list the procedures, or the versions of one",
		Long: `list lists the newest version of each procedure in the database, or with NAME all versions of that
procedure, the newest first.
` + databaseHelp,
		Example: `  stepctl db list --db runs.db
  stepctl db list door --csv`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return oneVersion(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDatabase(cmd, reading, func(ctx context.Context, db *database.DB) error {
				versions, err := listed(ctx, db, args)
				if err != nil {
					return err
				}
				return writeList(cmd.OutOrStdout(), format, versionColumns(), allRows(versions))
			})
		},
		ValidArgsFunction: completeFromDatabase(1, procedureNames),
	}
	cmd.Flags().SortFlags = false
	format.register(cmd)
	addDatabase(cmd)
	return cmd
}

func listed(ctx context.Context, db *database.DB, args []string) ([]database.Version, error) {
	if len(args) == 0 {
		return db.Procedures(ctx)
	}
	v, _, err := storedVersion(ctx, db, args[0])
	if err != nil || strings.Contains(args[0], "@") {
		return []database.Version{v}, err
	}
	return db.Versions(ctx, v.Name)
}

func versionColumns() []column[database.Version] {
	return []column[database.Version]{
		{name: "name", value: func(v database.Version) any { return v.Name }},
		{name: "version", value: func(v database.Version) any { return v.Version }},
		{name: "steps", value: func(v database.Version) any { return v.Steps }},
		{name: "bytes", value: func(v database.Version) any { return v.Bytes }},
		{name: "imported", value: func(v database.Version) any { return v.Imported }, text: func(v database.Version) string { return localTime(v.Imported) }},
		{name: "sha256", value: func(v database.Version) any { return v.SHA256 }, text: func(v database.Version) string { return v.SHA256[:min(12, len(v.SHA256))] }},
	}
}
