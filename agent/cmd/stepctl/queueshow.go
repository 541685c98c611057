package main

import (
	"context"
	"database/sql"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/queue"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// entryColumns are the columns of queue list.
func entryColumns() []column[entryRow] {
	none := func(n int64) any {
		if n == 0 {
			return nil
		}
		return n
	}
	return []column[entryRow]{
		{name: "id", value: func(e entryRow) any { return e.ID }},
		{name: "state", value: func(e entryRow) any { return string(e.State) }},
		{name: "procedure", value: func(e entryRow) any { return e.Procedure }, text: func(e entryRow) string { return orderedProcedure(e.Entry) }},
		{name: "version", value: func(e entryRow) any { return none(e.Version) }, hidden: true},
		{name: "board", value: func(e entryRow) any { return e.Board }},
		{name: "priority", value: func(e entryRow) any { return e.Priority }},
		{name: "due", value: func(e entryRow) any { return e.Due }, text: func(e entryRow) string { return zonedTime(e.Due) }},
		{name: "every", value: func(e entryRow) any { return e.Every }},
		{name: "performed", value: func(e entryRow) any { return e.Performed }, text: performedText},
		{name: "times", value: func(e entryRow) any { return none(e.Times) }, hidden: true},
		{name: "labels", value: func(e entryRow) any { return e.Labels }, hidden: true},
		{name: "worker", value: func(e entryRow) any { return e.Worker }},
		{name: "attempt", value: func(e entryRow) any { return none(e.Attempt) }},
		{name: "run", value: func(e entryRow) any { return e.Run }},
		{name: "steps_done", value: func(e entryRow) any { return e.done }, text: progressText},
		{name: "steps", value: func(e entryRow) any { return e.steps }, hidden: true},
		{name: "problem", value: func(e entryRow) any { return e.Problem }},
		{name: "added", value: func(e entryRow) any { return e.Added }, hidden: true},
	}
}

// performedText says how often an entry was performed, and of how many times.
func performedText(e entryRow) string {
	switch {
	case e.Times > 0:
		return fmt.Sprintf("%d of %d", e.Performed, e.Times)
	case e.Every == "":
		return fmt.Sprintf("%d of 1", e.Performed)
	}
	return fmt.Sprint(e.Performed)
}

// progressText says how far the present run is; empty if there is none.
func progressText(e entryRow) string {
	if e.State != queue.Running || e.steps == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d", e.done, e.steps)
}

// writeRows writes entries as CSV without headings.
func writeRows(to io.Writer, rows []entryRow) error {
	lines := csv.NewWriter(to)
	for _, row := range rows {
		_ = lines.Write(csvCells(entryColumns(), row)) // Error has it
	}
	lines.Flush()
	return written(lines.Error())
}

func newQueueShow() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "show an entry of the queue and its runs",
		Long: `show shows an entry of the queue, and the runs that were performed for it, the newest first. Several
attempts at one due time are told apart by their number.
` + databaseHelp,
		Example: `  stepctl queue show 12
  stepctl queue show 12 --json | jq -r '.runs[].id'`,
		Args: entryIDs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withQueue(cmd, reading, func(ctx context.Context, db *database.DB, q *queue.Queue) error {
				ids, _ := parseIDs(args) // Args has checked it
				shown, err := showEntry(ctx, db, q, ids[0])
				if err != nil {
					return err
				}
				if asJSON {
					return written(writeJSON(cmd.OutOrStdout(), shown))
				}
				return shown.write(cmd.OutOrStdout())
			})
		},
		ValidArgsFunction: completeFromDatabase(1, completeEntries),
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object instead of text")
	addDatabase(cmd)
	return cmd
}

// maxShownRuns is how many runs of an entry are shown.
const maxShownRuns = 100

// An entryView is what queue show shows.
type entryView struct {
	queue.Entry
	// Runs are the newest first.
	Runs []entryRun `json:"runs"`
}

// An entryRun is a run of an entry.
type entryRun struct {
	ID      string    `json:"id"`
	Attempt int64     `json:"attempt"`
	State   string    `json:"state"`
	Verdict string    `json:"verdict"`
	Passed  int64     `json:"passed"`
	Steps   int64     `json:"steps"`
	Worker  string    `json:"worker"`
	Started time.Time `json:"started"`
}

func showEntry(ctx context.Context, db *database.DB, q *queue.Queue, id int64) (shown entryView, err error) {
	if shown.Entry, err = q.Entry(ctx, id); err != nil {
		return shown, err
	}
	shown.Runs, err = database.Collect(ctx, db, func(rows *sql.Rows) (r entryRun, err error) {
		var started database.Time
		err = rows.Scan(&r.ID, &r.Attempt, &r.State, &r.Verdict, &r.Passed, &r.Steps, &r.Worker, &started)
		r.Started = time.Time(started)
		return r, err
	}, `SELECT id, coalesce(attempt, 0), state, verdict, passed, steps, coalesce(worker, ''), started
		FROM runs WHERE entry = $1 ORDER BY id DESC LIMIT $2`, id, maxShownRuns)
	if err != nil {
		err = fmt.Errorf("cannot read the runs of the entry: %w", err)
	}
	return shown, err
}

// write writes the entry for people.
func (v entryView) write(to io.Writer) error {
	lines := [][2]string{
		{"state", string(v.State)}, {"problem", v.Problem}, {"priority", fmt.Sprint(v.Priority)}, {"due", zonedTime(v.Due)},
		{"every", v.Every}, {"performed", performedText(entryRow{Entry: v.Entry})}, {"labels", v.Labels}, {"added", zonedTime(v.Added)},
	}
	if v.State == queue.Running {
		lines = append(lines, [2]string{"worker", v.Worker}, [2]string{"leased until", zonedTime(v.LeasedUntil)})
	}
	_, err := fmt.Fprintf(to, "entry %d: %s on %s\n", v.ID, logging.Clean(orderedProcedure(v.Entry)), logging.Clean(v.Board))
	for _, line := range lines {
		if line[1] != "" && err == nil {
			_, err = fmt.Fprintf(to, "%-12s  %s\n", line[0], logging.Clean(line[1]))
		}
	}
	if err == nil && len(v.Runs) > 0 {
		_, err = fmt.Fprintln(to)
	}
	if err != nil {
		return written(err)
	}
	return writeList(to, listFormat{}, []column[entryRun]{
		{name: "run", value: func(r entryRun) any { return r.ID }},
		{name: "attempt", value: func(r entryRun) any { return r.Attempt }},
		{name: "state", value: func(r entryRun) any { return r.State }},
		{name: "verdict", value: func(r entryRun) any { return r.Verdict }},
		{name: "passed", text: func(r entryRun) string { return fmt.Sprintf("%d of %d", r.Passed, r.Steps) }},
		{name: "worker", value: func(r entryRun) any { return r.Worker }},
		{name: "started", text: func(r entryRun) string { return zonedTime(r.Started) }},
	}, allRows(v.Runs))
}

func newQueueCancel() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cancel ID...",
		Short: "cancel entries of the queue",
		Long: `cancel cancels entries: none is performed again. The worker that performs one interrupts its run
within a second.
` + databaseHelp,
		Example: `  stepctl queue cancel 12 13`,
		Args:    entryIDs(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withQueue(cmd, storing, func(ctx context.Context, _ *database.DB, q *queue.Queue) error {
				ids, _ := parseIDs(args) // Args has checked it
				for _, id := range ids {
					e, err := q.Cancel(ctx, id)
					if errors.Is(err, queue.ErrSettled) {
						return &exitError{exitUsage, err}
					}
					if err != nil {
						return err
					}
					if _, err := fmt.Fprintf(cmd.OutOrStdout(), "entry %d is cancelled\n", e.ID); err != nil {
						return written(err)
					}
				}
				return nil
			})
		},
		ValidArgsFunction: completeFromDatabase(0, completeEntries),
	}
	cmd.Flags().SortFlags = false
	addDatabase(cmd)
	return cmd
}
