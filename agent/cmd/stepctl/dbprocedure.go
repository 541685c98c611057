package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
)

// parseVersion reads NAME or NAME@VERSION; the version is 0 for the newest.
func parseVersion(text string) (name string, version int64, err error) {
	name, number, found := strings.Cut(text, "@")
	if found {
		if version, err = strconv.ParseInt(number, 10, 64); err != nil || version < 1 || strconv.FormatInt(version, 10) != number {
			return "", 0, fmt.Errorf("%q names no version; write NAME@VERSION, such as door@3", text)
		}
	}
	if err := database.CheckName("procedure", name); err != nil {
		return "", 0, err
	}
	return name, version, nil
}

// versionName returns NAME@VERSION.
func versionName(v database.Version) string { return v.Name + "@" + strconv.FormatInt(v.Version, 10) }

// oneVersion takes exactly one NAME or NAME@VERSION.
func oneVersion(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("name one procedure, got %d arguments", len(args))
	}
	_, _, err := parseVersion(args[0])
	return err
}

// storedVersion returns a version that is named as NAME or NAME@VERSION, and its step file.
func storedVersion(ctx context.Context, db *database.DB, text string) (database.Version, []byte, error) {
	name, version, err := parseVersion(text)
	if err != nil {
		return database.Version{}, nil, err
	}
	return db.Procedure(ctx, name, version)
}

func newDBExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export NAME[@VERSION]",
		Short: "write a procedure to stdout, byte for byte as it was imported",
		Long: `export writes the step file of a procedure to stdout, byte for byte as it was imported: the newest
version, or the one that is named.
` + databaseHelp,
		Example: `  stepctl db export door >door.json
  stepctl db export door@3 | sha256sum`,
		Args: oneVersion,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDatabase(cmd, reading, func(ctx context.Context, db *database.DB) error {
				_, content, err := storedVersion(ctx, db, args[0])
				if err == nil {
					_, err = cmd.OutOrStdout().Write(content)
					err = written(err)
				}
				return err
			})
		},
		ValidArgsFunction: completeFromDatabase(1, procedureNames),
	}
	cmd.Flags().SortFlags = false
	addDatabase(cmd)
	return cmd
}

// localTime returns a time for people, in the zone of this machine; empty for none.
func localTime(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Local().Format("2006-01-02 15:04:05")
}
