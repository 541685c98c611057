package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/boards"
	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/queue"
	"github.com/stepagent/stepagent/agent/internal/client/schedule"
)

// queueAdd is the command line of stepctl queue add.
type queueAdd struct {
	boards          []string
	at, every, zone string
	times, priority int64
	labels          []string
	json            bool
}

func newQueueAdd() *cobra.Command {
	var flags queueAdd
	cmd := &cobra.Command{
		Use:   "add PROCEDURE[@VERSION] --board NAME [--at TIME] [--every PLAN]",
		Short: "have a procedure performed on a board, at once, at a time or repeatedly",
		Long: `add adds an entry to the queue: a procedure of the database, and the board to perform it on, by the
name that it has in the boards file of a worker. Without a version, the newest is performed. Several
boards give an entry each.

--at is one of
  2026-12-01T08:00:00+01:00   RFC 3339
  "2026-12-01 08:00"          a date and a time of the wall clock
  08:00                       the next time that the wall clock shows it
  +10m                        after a duration

--every is a duration, such as 1h30m, or the five fields of cron: minute, hour, day of month, month
and day of week. A duration counts from the first time, by what elapses; the end of a run does not
count. Cron fields follow the wall clock: a time that is left out when the clocks go forward is
performed as much later, and one that comes twice when they go back is performed once; fields with
every hour (*) are performed in each hour that elapses. The wall clock is that of this machine's time
zone, or of --zone, whose name is stored with the fields.

Times that pass while no worker runs, or while the entry is being performed, are made up by one run.
` + databaseHelp + `

Exit codes:
  0  the entry is in the queue
  2  the command line is wrong, or there is no such procedure
  4  the database could not store the entry`,
		Example: `  stepctl queue add door --board bench-7
  stepctl queue add door@3 --board bench-7 --at 22:00 --label campaign=night
  stepctl queue add door --board bench-7 --every "30 2 * * 1-5" --zone Asia/Seoul
  stepctl queue add door --board bench-7 --every 10m --times 6 --priority 5`,
		Args: oneVersion,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withQueue(cmd, storing, func(ctx context.Context, db *database.DB, q *queue.Queue) error {
				entries, err := flags.entries(ctx, db, args[0])
				if err != nil {
					return err
				}
				return flags.add(ctx, cmd, q, entries)
			})
		},
		ValidArgsFunction: completeFromDatabase(1, procedureNames),
	}
	flags.register(cmd)
	return cmd
}

func (f *queueAdd) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.SortFlags = false
	set.StringArrayVar(&f.boards, "board", nil, "`NAME` of the board; may be repeated")
	set.StringVar(&f.at, "at", "", "first `TIME`, see above (default: at once, or the next time of cron fields)")
	set.StringVar(&f.every, "every", "", "repeat by a `PLAN`: a duration or cron fields, see above")
	set.StringVar(&f.zone, "zone", "", "time `ZONE` of --at and --every, such as Europe/Berlin (default: that of this machine)")
	set.Int64Var(&f.times, "times", 0, "perform it a `NUMBER` of times (default: once, or without end with --every)")
	set.Int64Var(&f.priority, "priority", 0, "`NUMBER`; entries with a higher one are performed first")
	set.StringArrayVar(&f.labels, "label", nil, "store `KEY=VALUE` with the runs in the database; may be repeated")
	set.BoolVar(&f.json, "json", false, "print each entry as a JSON object instead of text")
	addDatabase(cmd)
}

// entries returns the entries to add. The procedure must exist.
func (f *queueAdd) entries(ctx context.Context, db *database.DB, procedure string) ([]queue.Entry, error) {
	e, err := f.entry(time.Now())
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	if e.Procedure, e.Version, err = parseVersion(procedure); err != nil {
		return nil, err
	}
	if _, _, err := db.Procedure(ctx, e.Procedure, e.Version); err != nil {
		return nil, err
	}
	var entries []queue.Entry
	for _, board := range f.boards {
		e.Board = board
		entries = append(entries, e)
	}
	return entries, nil
}

// entry returns what the entries of all boards have.
func (f *queueAdd) entry(now time.Time) (e queue.Entry, err error) {
	if err := f.check(); err != nil {
		return e, err
	}
	e.Times, e.Priority = f.times, f.priority
	labels, err := parseLabels(f.labels)
	if err != nil {
		return e, err
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		e.Labels += "," + key + "=" + labels[key]
	}
	e.Labels = strings.TrimPrefix(e.Labels, ",")
	if f.zone != "" {
		zone, err := schedule.Zone(f.zone)
		if err != nil {
			return e, err
		}
		now = now.In(zone)
	}
	if f.every != "" {
		every, err := f.plan()
		if err != nil {
			return e, err
		}
		if e.Every = every.String(); schedule.HasFields(e.Every) {
			e.Due = every.First(now)
		}
	}
	if f.at != "" {
		if e.Due, err = schedule.ParseAt(f.at, now); err != nil {
			return e, fmt.Errorf("--at: %w", err)
		}
		if now.Sub(e.Due) > time.Minute {
			return e, fmt.Errorf("--at: %s has passed; leave it out for at once", f.at)
		}
	}
	return e, nil
}

// check checks the flags that need no reading.
func (f *queueAdd) check() error {
	if len(f.boards) == 0 {
		return errors.New("name the board with --board")
	}
	for i, board := range f.boards {
		if err := boards.CheckName(board); err != nil {
			return err
		}
		if slices.Contains(f.boards[:i], board) {
			return fmt.Errorf("the board %s is given twice; keep one", board)
		}
	}
	switch {
	case f.times < 0:
		return fmt.Errorf("--times is %d; give a number from 1", f.times)
	case f.zone != "" && f.at == "" && f.every == "":
		return errors.New("--zone is for --at and --every; give one of them, or leave it out")
	}
	return nil
}

// plan returns the plan of --every. Cron fields get the name of their time zone.
func (f *queueAdd) plan() (schedule.Every, error) {
	every, err := schedule.ParseEvery(f.every)
	if err != nil {
		return every, fmt.Errorf("--every: %w", err)
	}
	if !schedule.HasFields(f.every) {
		return every, nil
	}
	zone := f.zone
	if zone == "" {
		if zone, err = schedule.LocalZone(); err != nil {
			return every, err
		}
	}
	return every.In(zone)
}

// add adds the entries and prints them.
func (f *queueAdd) add(ctx context.Context, cmd *cobra.Command, q *queue.Queue, entries []queue.Entry) error {
	for _, e := range entries {
		added, err := q.Add(ctx, e)
		if err != nil {
			return err
		}
		if f.json {
			err = writeJSON(cmd.OutOrStdout(), added)
		} else {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), describeEntry(added))
		}
		if err := written(err); err != nil {
			return err
		}
	}
	return nil
}
