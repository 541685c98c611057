package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// recordEnding is the ending of the records that db add finds in folders.
const recordEnding = ".jsonl"

func newDBAdd() *cobra.Command {
	var store storeFlags
	var verbose bool
	cmd := &cobra.Command{
		Use:   "add RECORD...",
		Short: "take in records of runs that were made without the database",
		Long: `add stores runs from their records, as stepctl run --record writes them. In a folder it takes all
files that end with .jsonl, also in the folders below. A record that is stored already is not stored
again. A file that is no sound record is reported, and the others are taken in. At a terminal, stderr
shows the progress. The record of a run that was interrupted and then resumed completes that run.
` + databaseHelp + `

Exit codes:
  0  every record is stored
  1  interrupted; what was stored until then remains
  2  a file is no sound record or cannot be read, or the command line is wrong
  4  the database could not store a record`,
		Example: `  stepctl db add run.jsonl --board bench-7
  stepctl db add /srv/nightly --label site=lab`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name a record, or a folder with records")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			meta, err := store.described()
			if err != nil {
				return err
			}
			paths, err := findRecords(args)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			a := &addition{stdout: stickyWriter{to: cmd.OutOrStdout()}, stderr: cmd.ErrOrStderr(), verbose: verbose || len(paths) == 1, total: len(paths)}
			return withDatabase(cmd, storing, func(ctx context.Context, db *database.DB) error {
				return a.add(ctx, db, paths, meta)
			})
		},
		ValidArgsFunction: completeFiles(0, "jsonl"),
	}
	cmd.Flags().SortFlags = false
	store.register(cmd)
	cmd.Flags().Lookup("board").Usage = "`NAME` of the board that the runs were made at"
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print a line with the id of each run")
	addDatabase(cmd)
	return cmd
}

// findRecords returns the files among the paths, and the records in the folders among them.
func findRecords(paths []string) (found []string, err error) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || !info.IsDir() {
			found = append(found, path) // reading it says what is wrong
			continue
		}
		err = filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && strings.HasSuffix(file, recordEnding) {
				found = append(found, file)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("cannot read the folder %s: %w", path, err)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("found no file that ends with %s in %s", recordEnding, strings.Join(paths, ", "))
	}
	return found, nil
}

// An addition takes in records, and counts and reports them.
type addition struct {
	stdout  stickyWriter
	stderr  io.Writer
	verbose bool

	total, stored, completed, known, wrong int

	line  *statusLine // nil for none
	drawn time.Time
}

// add takes in the records at paths. The error has the exit code.
func (a *addition) add(ctx context.Context, db *database.DB, paths []string, meta database.Meta) error {
	if isTerminal(a.stderr) {
		a.line = &statusLine{to: a.stderr, width: func() int { return terminalWidth(a.stderr) }}
	}
	err := db.AddFiles(ctx, slices.Values(paths), meta, a.one)
	a.clear()
	completed := ""
	if a.completed > 0 {
		completed = phrase.Count(a.completed, "run") + " completed, "
	}
	_, _ = fmt.Fprintf(&a.stdout, "%s stored, %s%d known already, %d refused\n", phrase.Count(a.stored, "record"), completed, a.known, a.wrong)
	if err == nil {
		err = written(a.stdout.err)
	}
	if err == nil && a.wrong > 0 {
		err = &exitError{code: exitUsage}
	}
	return err
}

// one reports a record that was taken in or refused.
func (a *addition) one(r database.Added) {
	what := "stored as"
	switch {
	case r.Err != nil:
		a.wrong++
		a.clear()
		_, _ = fmt.Fprintf(a.stderr, "stepctl: %v\n", r.Err) // the exit code reports it too
	case r.Added:
		a.stored++
	case r.Completed:
		a.completed++
		what = "completed"
	default:
		a.known++
		what = "known as"
	}
	if r.Err == nil && a.verbose {
		_, _ = fmt.Fprintf(&a.stdout, "%s: %s %s\n", logging.Clean(r.Name), what, r.ID)
	}
	if now := time.Now(); a.line != nil && now.Sub(a.drawn) >= redrawEvery {
		a.drawn = now
		a.line.draw(fmt.Sprintf("%d of %d records, %d refused", a.stored+a.completed+a.known+a.wrong, a.total, a.wrong))
	}
}

// clear erases the status line before a line is written.
func (a *addition) clear() {
	if a.line != nil {
		a.line.erase()
	}
}
