package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

func newDBDiff() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff NAME[@VERSION] [NAME[@VERSION]]",
		Short: "show the differences between two versions of procedures",
		Long: `diff compares two step files of the database and prints a unified diff, nothing if they are equal.
With two names it compares the first with the second. NAME@VERSION alone is compared with the newest
version of that procedure, and NAME alone compares the last two versions.
` + databaseHelp,
		Example: `  stepctl db diff door
  stepctl db diff door@3
  stepctl db diff door@3 gate@1`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 && len(args) != 2 {
				return fmt.Errorf("name one or two procedures, got %d arguments", len(args))
			}
			return errors.Join(oneVersion(cmd, args[:1]), oneVersion(cmd, args[len(args)-1:]))
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDatabase(cmd, reading, func(ctx context.Context, db *database.DB) error {
				old, current, err := compared(ctx, db, args)
				if err != nil {
					return err
				}
				return written(writeDiff(cmd.OutOrStdout(), old, current))
			})
		},
		ValidArgsFunction: completeFromDatabase(2, procedureNames),
	}
	cmd.Flags().SortFlags = false
	addDatabase(cmd)
	return cmd
}

// A namedText is a step file with the name of its version.
type namedText struct {
	name    string
	content []byte
}

// compared returns the two step files that the arguments of diff name.
func compared(ctx context.Context, db *database.DB, args []string) (old, current namedText, err error) {
	text := func(name string) (namedText, int64, error) {
		v, content, err := storedVersion(ctx, db, name)
		return namedText{versionName(v), content}, v.Version, err
	}
	if len(args) == 2 {
		if old, _, err = text(args[0]); err == nil {
			current, _, err = text(args[1])
		}
		return old, current, err
	}
	name, _, versioned := strings.Cut(args[0], "@")
	current, newest, err := text(name)
	if err != nil {
		return old, current, err
	}
	before := args[0]
	if !versioned {
		if newest == 1 {
			return old, current, &exitError{exitUsage, fmt.Errorf("the procedure %q has one version; name another procedure to compare it with", name)}
		}
		before = fmt.Sprintf("%s@%d", name, newest-1)
	}
	old, _, err = text(before)
	return old, current, err
}

// writeDiff writes a unified diff. On a terminal, text is escaped; elsewhere the diff is exact, for
// patch(1).
func writeDiff(to io.Writer, old, current namedText) error {
	lines := diff.Diff(old.name, old.content, current.name, current.content)
	_, lines, _ = bytes.Cut(lines, []byte("\n")) // without the line "diff OLD NEW"
	if isTerminal(to) {
		text := string(lines)
		lines = nil
		for line := range strings.Lines(text) {
			lines = append(lines, logging.Clean(strings.TrimSuffix(line, "\n"))+"\n"...)
		}
	}
	_, err := to.Write(lines)
	return err
}
