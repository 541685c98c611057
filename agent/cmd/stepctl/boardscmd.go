package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/fleetview"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
)

const (
	// answerWait is how long the boards of a fleet have to answer.
	answerWait = 2 * time.Second
	// boardsEvery is the time between two lists that are watched.
	boardsEvery = 2 * time.Second
)

// boardsList is the command line of stepctl boards.
type boardsList struct {
	names  []string
	wait   time.Duration
	watch  bool
	format listFormat
}

func newBoards() *cobra.Command {
	var flags boardsList
	cmd := &cobra.Command{
		Use:   "boards [BOARD...]",
		Short: "list the agents of a fleet and how they are",
		Long: `boards asks the agents of a fleet over NATS how they are, and lists those that answer: the version,
the health and what is wrong, the validators, the open sessions, how long ago the agent was started,
and how much of its record NATS does not have yet. The config of an agent that answers has [fleet]
control. With names it asks these boards alone, and lists one that does not answer too.

With --watch the list is shown again every two seconds, until Ctrl-C; with --json the boards that have
changed are printed then.
` + natsHelp + `

Exit codes:
  0  every board that was asked is well
  1  a board is degraded, or one that was named has not answered
  2  the command line or a setting is wrong
  3  NATS could not be reached, or no board has answered`,
		Example: `  stepctl boards --nats-url nats://nats-1.lan:4222 --fleet lab
  stepctl boards bench-7 bench-8 --json | jq .trouble
  stepctl boards --watch`,
		RunE: func(cmd *cobra.Command, args []string) error {
			flags.names = args
			if flags.watch && flags.format.csv {
				return errors.New("--watch shows a table or JSON lines; leave out --csv")
			}
			return withNATS(cmd, func(ctx context.Context, conn *natsconn.Conn, settings config.Client) error {
				if flags.watch {
					return flags.follow(ctx, cmd.OutOrStdout(), conn, settings.Fleet)
				}
				return flags.list(ctx, cmd.OutOrStdout(), conn, settings.Fleet)
			})
		},
	}
	set := cmd.Flags()
	set.SortFlags = false
	set.BoolVar(&flags.watch, "watch", false, "show the list again every two seconds")
	flags.format.register(cmd)
	addWait(cmd, &flags.wait)
	addSettings(cmd, append([]string{"timeout"}, natsFlags()...)...)
	cmd.AddCommand(newBoardsReload())
	return cmd
}

func addWait(cmd *cobra.Command, wait *time.Duration) {
	cmd.Flags().DurationVar(wait, "within", answerWait, "`DURATION` that boards have to answer")
}

// withNATS connects to the NATS of the settings and calls work with it. The first signal ends the
// context.
func withNATS(cmd *cobra.Command, work func(context.Context, *natsconn.Conn, config.Client) error) error {
	settings, err := loadSettings(cmd)
	if err != nil {
		return err
	}
	conn, err := openNATS(settings.Client, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, release := interruptible(cmd)
	defer release()
	if err := awaitNATS(ctx, conn, settings.Timeout.Duration()); err != nil {
		return err
	}
	return work(ctx, conn, settings.Client)
}

// A boardRow is a line of the list.
type boardRow struct {
	fleetview.Board
	absent bool // it was named and has not answered
}

// rows returns the boards that have answered, and those that were named and have not.
func (f *boardsList) rows(ctx context.Context, conn *natsconn.Conn, fleet string) ([]boardRow, error) {
	boards, err := fleetview.List(ctx, conn, fleet, f.names, f.wait)
	if err != nil {
		return nil, err
	}
	var rows []boardRow
	for _, b := range boards {
		rows = append(rows, boardRow{Board: b})
	}
	for _, name := range f.names {
		if !slices.ContainsFunc(boards, func(b fleetview.Board) bool { return b.Name == name }) {
			rows = append(rows, boardRow{Board: fleetview.Board{Name: name}, absent: true})
		}
	}
	return rows, nil
}

// list writes the list once.
func (f *boardsList) list(ctx context.Context, to io.Writer, conn *natsconn.Conn, fleet string) error {
	rows, err := f.rows(ctx, conn, fleet)
	switch {
	case ctx.Err() != nil:
		return &exitError{exitFailed, errors.New("interrupted")}
	case err != nil:
		return &exitError{exitUnreachable, err}
	}
	if err := writeList(to, f.format, boardColumns(), allRows(rows)); err != nil {
		return err
	}
	answered := slices.ContainsFunc(rows, func(r boardRow) bool { return !r.absent })
	switch {
	case !answered:
		return &exitError{exitUnreachable, noBoard(conn, fleet)}
	case slices.ContainsFunc(rows, func(r boardRow) bool { return r.absent || len(r.Status.Trouble) > 0 }):
		return &exitError{code: exitFailed}
	}
	return nil
}

// noBoard is the error that nothing has answered.
func noBoard(conn *natsconn.Conn, fleet string) error {
	if conn.Refused() {
		return fmt.Errorf("no board of the fleet %s has answered; NATS is %s", fleet, conn.Status())
	}
	return fmt.Errorf("no board of the fleet %s has answered; see whether its agents run, and have [fleet] control and this fleet in their config", fleet)
}

// follow writes the list again and again, until ctx ends.
func (f *boardsList) follow(ctx context.Context, to io.Writer, conn *natsconn.Conn, fleet string) error {
	ticker := time.NewTicker(boardsEvery)
	defer ticker.Stop()
	shown := map[string]string{}
	for ctx.Err() == nil {
		rows, err := f.rows(ctx, conn, fleet)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil || len(rows) == 0 && (!conn.Connected() || conn.Refused()):
			_, err = fmt.Fprintf(to, "NATS: %s\n", conn.Status())
			err = written(err)
		case f.format.json:
			err = writeList(to, f.format, boardColumns(), allRows(changedBoards(rows, shown)))
		default:
			err = redrawList(to, f.format, boardColumns(), rows)
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	return nil // Ctrl-C is how it ends
}

// changedBoards returns the rows that differ from those in shown, which it brings up to date.
func changedBoards(rows []boardRow, shown map[string]string) []boardRow {
	return slices.DeleteFunc(rows, func(r boardRow) bool {
		name := r.Name + " " + r.Status.Address
		r.Status.Uptime, r.Raw = 0, nil // they change all the time
		present := fmt.Sprint(csvCells(boardColumns(), r))
		same := shown[name] == present
		shown[name] = present
		return same
	})
}

// health says in a word how the board is.
func (r boardRow) health() string {
	switch {
	case r.absent:
		return "absent"
	case len(r.Status.Trouble) > 0:
		return "degraded"
	}
	return "good"
}

// up says how long ago the agent was started.
func (r boardRow) up() string {
	if r.absent {
		return ""
	}
	return time.Duration(r.Status.Uptime).Truncate(time.Second).String()
}

// lag says what waits on the board for NATS.
func (r boardRow) lag() string {
	o := r.Status.Fleet.Results
	switch {
	case !o.Enabled:
		return ""
	case o.Bytes == 0:
		return "none"
	}
	return fmt.Sprintf("%d KiB, %s", (o.Bytes+1023)>>10, phrase.Span(time.Duration(o.Seconds)))
}

// boardColumns returns the columns of the list. A board that has not answered has a name alone.
func boardColumns() []column[boardRow] {
	of := func(value func(fleetview.Status) any) func(boardRow) any {
		return func(r boardRow) any {
			if r.absent {
				return nil
			}
			return value(r.Status)
		}
	}
	ofResults := func(value func(fleetview.Results) any) func(boardRow) any {
		return of(func(s fleetview.Status) any {
			if !s.Fleet.Results.Enabled {
				return nil
			}
			return value(s.Fleet.Results)
		})
	}
	return []column[boardRow]{
		{name: "board", value: func(r boardRow) any { return r.Name }},
		{name: "agent", value: func(r boardRow) any { return r.Agent }},
		{name: "health", value: func(r boardRow) any { return r.health() }, text: func(r boardRow) string {
			return r.health() + phrase.After(": ", strings.Join(r.Status.Trouble, "; "))
		}},
		{name: "validators", value: of(func(s fleetview.Status) any { return strings.Join(s.Validators(), ", ") })},
		{name: "sessions", value: of(func(s fleetview.Status) any { return s.Sessions.Open })},
		{name: "up", value: of(func(s fleetview.Status) any { return time.Duration(s.Uptime).Seconds() }), text: boardRow.up},
		{name: "lag", value: ofResults(func(o fleetview.Results) any { return time.Duration(o.Seconds).Seconds() }), text: boardRow.lag},
		{name: "lag_bytes", value: ofResults(func(o fleetview.Results) any { return o.Bytes }), hidden: true},
		{name: "dropped", value: ofResults(func(o fleetview.Results) any { return o.Dropped }), hidden: true},
		{name: "address", value: of(func(s fleetview.Status) any { return s.Address }), hidden: true},
		{name: "generation", value: of(func(s fleetview.Status) any { return s.Generation }), hidden: true},
		{name: "trouble", value: of(func(s fleetview.Status) any { return strings.Join(s.Trouble, "; ") }), hidden: true},
	}
}
