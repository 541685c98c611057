package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/queue"
	"github.com/stepagent/stepagent/agent/internal/client/schedule"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

func newQueue() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "queue",
		Short: "say what workers are to perform, where and when",
		Long: `queue keeps a list of what is to be performed: procedures of the database, each on a board, at once,
at a time, or repeatedly. stepctl worker performs them. An entry of the queue is a row of the table
"queue", which other programs may insert into as well.
` + databaseHelp,
		Args: onlyCommands,
		RunE: commandNeeded,
	}
	cmd.AddCommand(newQueueAdd(), newQueueList(), newQueueShow(), newQueueCancel(), newQueueClear())
	return cmd
}

// entryIDs takes ids of entries as arguments, at least one and at most as many; 0 for any number.
func entryIDs(most int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return errors.New("name an entry by its id; list them with stepctl queue list")
		case most > 0 && len(args) > most:
			return fmt.Errorf("name one entry, got %d", len(args))
		}
		_, err := parseIDs(args)
		return err
	}
}

func parseIDs(args []string) ([]int64, error) {
	var ids []int64
	for _, text := range args {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id < 1 {
			return nil, fmt.Errorf("%.40q is no id of an entry; ids are numbers from 1", text)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// completeEntries completes the ids of entries that wait or run.
func completeEntries(ctx context.Context, db *database.DB) ([]string, error) {
	list, err := queue.New(db, queue.DefaultLease).List(ctx, queue.Filter{States: []queue.State{queue.Waiting, queue.Running}})
	var ids []string
	for _, e := range list {
		ids = append(ids, fmt.Sprintf("%d\t%s on %s", e.ID, logging.Clean(e.Procedure), logging.Clean(e.Board)))
	}
	return ids, err
}

// withQueue calls work with the queue of the database.
func withQueue(cmd *cobra.Command, use databaseUse, work func(context.Context, *database.DB, *queue.Queue) error) error {
	return withDatabase(cmd, use, func(ctx context.Context, db *database.DB) error {
		return work(ctx, db, queue.New(db, queue.DefaultLease))
	})
}

// orderedProcedure returns what an entry performs: NAME, or NAME@VERSION.
func orderedProcedure(e queue.Entry) string {
	if e.Version == 0 {
		return e.Procedure
	}
	return versionName(database.Version{Name: e.Procedure, Version: e.Version})
}

// describeEntry says in one line what an entry that was just added asks for.
func describeEntry(e queue.Entry) string {
	text := fmt.Sprintf("entry %d: %s on %s, ", e.ID, logging.Clean(orderedProcedure(e)), logging.Clean(e.Board))
	every, err := schedule.ParseEvery(e.Every)
	repeated := e.Every != "" && err == nil
	due := e.Due
	if due.IsZero() && repeated {
		due = every.First(e.Added)
	}
	if due.After(e.Added) {
		text += "at " + zonedTime(due)
	} else {
		text += "at once"
	}
	if repeated {
		text += ", then " + describePlan(every)
	}
	if e.Times > 0 {
		text += ", " + phrase.Count(int(e.Times), "time")
	}
	return text
}

// describePlan says when a plan is due, to follow "then".
func describePlan(every schedule.Every) string {
	if schedule.HasFields(every.String()) {
		return "by the plan " + logging.Clean(every.String())
	}
	return "every " + logging.Clean(every.String())
}

// zonedTime returns a time for people with the offset of its zone, which is this machine's.
func zonedTime(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Local().Format("2006-01-02 15:04:05 -07:00")
}

func newQueueClear() *cobra.Command {
	var age time.Duration
	cmd := &cobra.Command{
		Use:   "clear",
		Short: "remove entries that are done, cancelled or failed",
		Long: `clear removes the entries that no worker will perform any more, and prints how many. Their runs stay
in the history.
` + databaseHelp,
		Example: `  stepctl queue clear --db runs.db
  stepctl queue clear --older-than 30d`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withQueue(cmd, storing, func(ctx context.Context, db *database.DB, q *queue.Queue) error {
				now, err := db.Now(ctx)
				if err != nil {
					return err
				}
				removed, err := q.Clear(ctx, now.Add(-age))
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", phrase.Count(int(removed), "entry"))
				return written(err)
			})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().Func("older-than", "keep entries that were added within the `AGE`, such as 12h or 30d (default 0)", func(text string) (err error) {
		age, err = parseAge(text)
		return err
	})
	addDatabase(cmd)
	return cmd
}

// parseAge reads an age: a duration, or a number of days such as 30d.
func parseAge(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	if days, ok := cutDays(text); ok {
		return time.Duration(days) * day, nil
	}
	age, err := time.ParseDuration(text)
	if err != nil || age < 0 {
		return 0, errors.New("write an age such as 90m, 12h or 30d")
	}
	return age, nil
}

// cutDays reads a number of days, such as 30d.
func cutDays(text string) (days uint64, ok bool) {
	if text == "" || text[len(text)-1] != 'd' {
		return 0, false
	}
	days, err := strconv.ParseUint(text[:len(text)-1], 10, 16)
	return days, err == nil
}
