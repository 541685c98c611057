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

// boardsReload is the command line of stepctl boards reload.
type boardsReload struct {
	wait, patience time.Duration
}

func newBoardsReload() *cobra.Command {
	var flags boardsReload
	cmd := &cobra.Command{
		Use:   "reload [BOARD...]",
		Short: "have agents reload their config, one after the other",
		Long: `reload has the agents of a fleet reload their config, one after the other: those that are named, in
that order, or all that answer, by name. It stops at the first that refuses its new config, which then
keeps the old one, or that does not answer. What was reloaded before stays so. A board that is named
and does not answer, or a name that two agents have, is an error before anything is reloaded.

Ctrl-C stops after the board that is reloading.
` + natsHelp + `

Exit codes:
  0  all boards have reloaded
  1  a board has refused its config, or the command was interrupted
  2  the command line or a setting is wrong, or two agents have the same name
  3  NATS could not be reached, or a board has not answered`,
		Example: `  stepctl boards reload --fleet lab
  stepctl boards reload bench-7 && stepctl boards reload`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withNATS(cmd, func(ctx context.Context, conn *natsconn.Conn, settings config.Client) error {
				boards, err := flags.boards(ctx, conn, settings.Fleet, args)
				if err != nil {
					return err
				}
				return flags.reload(ctx, cmd.OutOrStdout(), conn, settings.Fleet, boards)
			})
		},
	}
	set := cmd.Flags()
	set.SortFlags = false
	addWait(cmd, &flags.wait)
	set.DurationVar(&flags.patience, "patience", 30*time.Second, "`DURATION` that a board may take to reload")
	addSettings(cmd, append([]string{"timeout"}, natsFlags()...)...)
	return cmd
}

// boards returns the names of the boards to reload. The error has the exit code.
func (f *boardsReload) boards(ctx context.Context, conn *natsconn.Conn, fleet string, named []string) ([]string, error) {
	answered, err := fleetview.List(ctx, conn, fleet, nil, f.wait)
	switch {
	case ctx.Err() != nil:
		return nil, &exitError{exitFailed, errors.New("interrupted; no board was reloaded")}
	case err != nil:
		return nil, &exitError{exitUnreachable, err}
	case len(answered) == 0:
		return nil, &exitError{exitUnreachable, noBoard(conn, fleet)}
	}
	count := map[string]int{}
	var all []string
	for _, b := range answered {
		count[b.Name]++
		all = append(all, b.Name)
	}
	if len(named) == 0 {
		named = all
	}
	for i, name := range named {
		switch {
		case count[name] > 1:
			return nil, &exitError{exitUsage, fmt.Errorf("%d agents answer as %s, and no board was reloaded; give each a name of its own in its config", count[name], name)}
		case count[name] == 0:
			return nil, &exitError{exitUnreachable, fmt.Errorf("the board %s does not answer, and no board was reloaded; see stepctl boards", name)}
		case slices.Contains(named[:i], name):
			return nil, fmt.Errorf("the board %s is named twice; name it once", name)
		}
	}
	return named, nil
}

// reload reloads the boards and says which have done so.
func (f *boardsReload) reload(ctx context.Context, to io.Writer, conn *natsconn.Conn, fleet string, boards []string) error {
	out := &stickyWriter{to: to}
	done, err := fleetview.RollOut(ctx, conn, fleet, boards, f.patience, func(board string, err error) {
		text := "reloaded"
		if err != nil {
			text = err.Error()
		}
		_, _ = fmt.Fprintf(out, "%s: %s\n", board, text) // out keeps the error
	})
	_, _ = fmt.Fprintln(out, rolledOut(boards, done, err))
	var refused *fleetview.RefusedError
	switch {
	case err == nil:
		return written(out.err)
	case errors.As(err, &refused), ctx.Err() != nil:
		return &exitError{code: exitFailed}
	}
	return &exitError{code: exitUnreachable}
}

// rolledOut says in one sentence which boards have reloaded.
func rolledOut(boards []string, done int, err error) string {
	if err == nil {
		return phrase.Count(done, "board") + " reloaded"
	}
	text := fmt.Sprintf("%d of %s reloaded%s", done, phrase.Count(len(boards), "board"), phrase.After(": ", strings.Join(boards[:done], ", ")))
	left := boards[done:]
	if !errors.Is(err, context.Canceled) {
		text += "; stopped at " + left[0]
		left = left[1:]
	}
	return text + phrase.After("; not asked: ", strings.Join(left, ", "))
}
