package main

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
)

// collectedFlags select events of agents' records.
type collectedFlags struct {
	filter       database.CollectedFilter
	since, until string
	format       listFormat
}

func (f *collectedFlags) register(cmd *cobra.Command, what string) {
	set := cmd.Flags()
	set.SortFlags = false
	set.StringVar(&f.filter.Board, "board", "", what+" of the board `NAME`")
	set.StringVar(&f.filter.Session, "session", "", what+" of the session `NAME`, of every owner")
	set.StringVar(&f.since, "since", "", what+" at `TIME` or later, by the clock of the agent")
	set.StringVar(&f.until, "until", "", what+" before `TIME`")
	set.BoolVar(&f.filter.NotPassed, "not-passed", false, what+" that did not pass")
	set.IntVar(&f.filter.Limit, "limit", 1000, "list the newest `NUMBER` of them, 0 for all")
	f.format.register(cmd)
	addDatabase(cmd)
}

// check completes the filter. The error is one of the command line.
func (f *collectedFlags) check(now time.Time) (err error) {
	if f.filter.Limit < 0 {
		return errors.New("--limit is a number of rows, 0 for all")
	}
	if f.filter.Since, err = parsePast(f.since, now); err == nil {
		f.filter.Until, err = parsePast(f.until, now)
	}
	return err
}

// collectedHelp is part of the help of db steps and db sessions.
const collectedHelp = `
The rows are in the order of time, by the clocks of the agents. Times are a date, a date and a time, or
an age such as 12h or 30d. The table is of use with a board or a session; JSON and CSV have further
columns. What else the events say is in the table agent_events of the database.
` + databaseHelp

func newDBSteps() *cobra.Command {
	return newCollected(auditlog.KindStep, "steps", &cobra.Command{
		Use:   "steps",
		Short: "list the steps that agents have judged",
		Long: `steps lists the steps that agents of a fleet have judged, as stepctl collect has stored them: when the
request arrived, in which session, and the verdict. A step that passed has the error code 0.
` + collectedHelp,
		Example: `  stepctl db steps --db runs.db --board bench-7 --since 1h
  stepctl db steps --session night-12 --json
  stepctl db steps --not-passed --since 2026-11-30 --csv --limit 0 >failed.csv`,
	}, agentStepColumns())
}

func newDBSessions() *cobra.Command {
	return newCollected(auditlog.KindSession, "sessions", &cobra.Command{
		Use:   "sessions",
		Short: "list the sessions that have ended at agents",
		Long: `sessions lists the sessions that have ended at agents of a fleet, as stepctl collect has stored them:
when, with which verdict, and how many steps have passed.
` + collectedHelp,
		Example: `  stepctl db sessions --db runs.db --since 1d
  stepctl db sessions --not-passed --json`,
	}, agentSessionColumns())
}

// newCollected completes a command that lists events of a kind.
func newCollected(kind auditlog.Kind, what string, cmd *cobra.Command, columns []column[agentRow]) *cobra.Command {
	flags := collectedFlags{filter: database.CollectedFilter{Kind: string(kind)}}
	cmd.Args = cli.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := flags.check(time.Now()); err != nil {
			return err
		}
		return withDatabase(cmd, reading, func(ctx context.Context, db *database.DB) error {
			return writeList(cmd.OutOrStdout(), flags.format, columns, agentRows(db.CollectedEvents(ctx, flags.filter)))
		})
	}
	flags.register(cmd, what)
	return cmd
}

// An agentRow is an event with where it comes from.
type agentRow struct {
	database.Collected
	event auditlog.Event
}

// agentRows reads the lines of events.
func agentRows(events iter.Seq2[database.Collected, error]) iter.Seq2[agentRow, error] {
	return func(yield func(agentRow, error) bool) {
		for c, err := range events {
			row := agentRow{Collected: c}
			if err == nil {
				row.event, err = auditlog.Decode([]byte(c.Line))
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// placeColumns are the columns of every event.
func placeColumns() []column[agentRow] {
	return []column[agentRow]{
		{name: "at", value: func(r agentRow) any { return r.At.UTC().Format(time.RFC3339Nano) }, text: func(r agentRow) string { return r.At.Local().Format("2006-01-02 15:04:05.000") }},
		{name: "board", value: func(r agentRow) any { return r.Board }},
		{name: "fleet", value: func(r agentRow) any { return r.Fleet }, hidden: true},
	}
}

func agentStepColumns() []column[agentRow] {
	of := func(name string, value func(*auditlog.Step) any) column[agentRow] {
		return column[agentRow]{name: name, value: func(r agentRow) any { return value(r.event.Step) }}
	}
	judged := of("judged", func(s *auditlog.Step) any { return time.Duration(s.Judged).Seconds() })
	judged.text = func(r agentRow) string { return phrase.Span(time.Duration(r.event.Step.Judged)) }
	columns := append(placeColumns(),
		of("session", func(s *auditlog.Step) any { return auditlog.SessionName(s.Session) }),
		of("position", func(s *auditlog.Step) any { return s.Position }),
		of("step_id", func(s *auditlog.Step) any { return s.StepID }),
		of("error_code", func(s *auditlog.Step) any { return s.ErrorCode }),
		of("reason", func(s *auditlog.Step) any { return s.Reason }),
		judged,
		of("detail", func(s *auditlog.Step) any { return s.Detail }),
	)
	return append(columns, hidden(
		of("session_id", func(s *auditlog.Step) any { return s.Session }),
		of("identity", func(s *auditlog.Step) any { return s.Identity }),
		of("client", func(s *auditlog.Step) any { return s.Client }),
		of("req", reqOf),
		of("replayed", func(s *auditlog.Step) any { return s.Replayed }),
		of("fault", func(s *auditlog.Step) any { return s.Fault }),
		of("generation", func(s *auditlog.Step) any { return s.Generation }),
	)...)
}

// reqOf returns the req of the request; nil if it had none.
func reqOf(s *auditlog.Step) any {
	if text, ok := s.Req.Text(); ok {
		return text
	}
	if n, ok := s.Req.Num(); ok {
		return n
	}
	return nil
}

func agentSessionColumns() []column[agentRow] {
	of := func(name string, value func(*auditlog.Session) any) column[agentRow] {
		return column[agentRow]{name: name, value: func(r agentRow) any { return value(r.event.Session) }}
	}
	duration := of("duration", func(s *auditlog.Session) any { return time.Duration(s.Duration).Seconds() })
	duration.text = func(r agentRow) string { return phrase.Span(time.Duration(r.event.Session.Duration)) }
	columns := append(placeColumns(),
		of("session", func(s *auditlog.Session) any { return auditlog.SessionName(s.Session) }),
		of("verdict", func(s *auditlog.Session) any { return s.Verdict }),
		of("passed", func(s *auditlog.Session) any { return s.Passed }),
		of("failed", func(s *auditlog.Session) any { return s.Failed }),
		of("undecided", func(s *auditlog.Session) any { return s.Undecided }),
		of("steps", func(s *auditlog.Session) any { return s.Steps }),
		of("of", func(s *auditlog.Session) any { return s.Of }),
		duration,
		of("cause", func(s *auditlog.Session) any { return s.Cause }),
	)
	return append(columns, hidden(
		of("session_id", func(s *auditlog.Session) any { return s.Session }),
		of("identity", func(s *auditlog.Session) any { return s.Identity }),
		of("client", func(s *auditlog.Session) any { return s.Client }),
	)...)
}

// hidden has columns in JSON and CSV alone.
func hidden(columns ...column[agentRow]) []column[agentRow] {
	for i := range columns {
		columns[i].hidden = true
	}
	return columns
}
