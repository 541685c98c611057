package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/queue"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
)

// watchInterval is the longest time between two looks of a list that is watched, for what no notice
// announces: a due time that has come, a lease that has ended.
const watchInterval = time.Second

// queueList is the command line of stepctl queue list.
type queueList struct {
	filter queue.Filter
	state  string
	all    bool
	watch  bool
	format listFormat
}

func newQueueList() *cobra.Command {
	var flags queueList
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the queue",
		Long: `list shows the entries that wait, run or have failed, in the order in which they were added; with
--all, or --state, also those that are done or cancelled. States are

  waiting     it is performed when it is due and a worker knows its board
  running     a worker performs it; after the end of its lease another worker takes it up
  done        it was performed as often as it says
  cancelled   stepctl queue cancel has cancelled it
  failed      no worker can perform it; the problem says why

A failed run does not fail its entry. The steps done are those of the present run.

With --watch the list is shown again whenever it changes, until Ctrl-C. In JSON and CSV the entries
that have changed are printed then.
` + databaseHelp,
		Example: `  stepctl queue list --db runs.db
  stepctl queue list --board bench-7 --watch
  stepctl queue list --state done --json | jq .run`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.selected(); err != nil {
				return err
			}
			return withQueue(cmd, reading, func(ctx context.Context, db *database.DB, q *queue.Queue) error {
				if flags.watch {
					return flags.follow(ctx, cmd.OutOrStdout(), db, q)
				}
				rows, err := flags.rows(ctx, db, q)
				if err != nil {
					return err
				}
				return writeList(cmd.OutOrStdout(), flags.format, entryColumns(), allRows(rows))
			})
		},
	}
	set := cmd.Flags()
	set.SortFlags = false
	set.StringVar(&flags.state, "state", "", "list entries in one `STATE`: waiting, running, done, cancelled or failed")
	set.StringVar(&flags.filter.Board, "board", "", "list entries of the board with the `NAME`")
	set.StringVar(&flags.filter.Procedure, "procedure", "", "list entries of the procedure with the `NAME`")
	set.IntVar(&flags.filter.Limit, "limit", 1000, "list the newest `NUMBER` of them, 0 for all")
	set.BoolVar(&flags.all, "all", false, "list entries in every state")
	set.BoolVar(&flags.watch, "watch", false, "show the list again whenever it changes")
	flags.format.register(cmd)
	addDatabase(cmd)
	completeFlag(cmd, "state", []string{"waiting", "running", "done", "cancelled", "failed"})
	return cmd
}

// selected reads which states are wanted.
func (f *queueList) selected() error {
	switch {
	case f.state != "" && f.all:
		return errors.New("--all is every state; leave out --state")
	case f.filter.Limit < 0:
		return errors.New("--limit must be 0 or above")
	case f.all:
		return nil
	case f.state == "":
		f.filter.States = []queue.State{queue.Waiting, queue.Running, queue.Failed}
		return nil
	}
	for _, state := range queue.States() {
		if string(state) == f.state {
			f.filter.States = []queue.State{state}
			return nil
		}
	}
	return fmt.Errorf("%q is no state; choose one of waiting, running, done, cancelled and failed", f.state)
}

// An entryRow is a line of the list.
type entryRow struct {
	queue.Entry
	// done of steps are the steps of the present run that have a result.
	done, steps int64
}

// rows returns the selected entries with the progress of those that run.
func (f *queueList) rows(ctx context.Context, db *database.DB, q *queue.Queue) ([]entryRow, error) {
	list, err := q.List(ctx, f.filter)
	if err != nil {
		return nil, err
	}
	rows := make([]entryRow, len(list))
	for i, e := range list {
		rows[i].Entry = e
		if e.State != queue.Running {
			continue
		}
		run, err := db.Run(ctx, e.Run)
		switch {
		case err == nil:
			rows[i].done, rows[i].steps = run.Passed+run.Failed, run.Steps
		case !errors.Is(err, database.ErrMissing): // the run has not begun yet
			return nil, err
		}
	}
	return rows, nil
}

// follow writes the list whenever it has changed, until ctx ends.
func (f *queueList) follow(ctx context.Context, to io.Writer, db *database.DB, q *queue.Queue) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wake, err := db.Listen(ctx, database.QueueChannel)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	shown := map[int64]entryRow{}
	for first := true; ctx.Err() == nil; first = false {
		rows, err := f.rows(ctx, db, q)
		if err == nil {
			err = f.update(to, rows, shown, first)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-ticker.C:
		}
	}
	return nil // Ctrl-C is how it ends
}

// update writes what has changed since shown was: the whole table, or single entries.
func (f *queueList) update(to io.Writer, rows []entryRow, shown map[int64]entryRow, first bool) error {
	var changed []entryRow
	present := map[int64]bool{}
	for _, row := range rows {
		row.LeasedUntil = time.Time{} // it changes all the time
		present[row.ID] = true
		if old, ok := shown[row.ID]; !ok || old != row {
			changed = append(changed, row)
		}
		shown[row.ID] = row
	}
	gone := false
	for id := range shown {
		if !present[id] {
			delete(shown, id)
			gone = true
		}
	}
	switch {
	case f.format.json, f.format.csv && first:
		return writeList(to, f.format, entryColumns(), allRows(changed))
	case f.format.csv:
		return writeRows(to, changed)
	case len(changed) == 0 && !gone && !first:
		return nil
	}
	return redrawList(to, f.format, entryColumns(), rows)
}
