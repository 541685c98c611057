package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
)

func newSessions() *cobra.Command {
	filter, limit := "", 0
	cmd := query[api.SessionList]{
		use: "sessions", short: "list the open sessions of the running agent", args: cli.NoArgs,
		long: `sessions lists the open sessions of the running agent, oldest first. A step that passed has the
letter p, one that did not has f. EXPECTS is the number of the step that comes next, if the validators
say so. A session is RESTORED if the agent has read it from its files at its start (session.survives).`,
		request: func([]string) daemon.Request { return daemon.SessionsRequest(filter, limit) },
		print:   printSessions, json: func(l api.SessionList) any { return l.Sessions },
	}.command()
	cmd.Flags().StringVar(&filter, "filter", "", "`TEXT` that the session's id, or its client's address or identity, contains")
	cmd.Flags().IntVar(&limit, "limit", 1000, "list at most this `NUMBER`, up to 10000")
	cmd.AddCommand(newShowSession(), newEndSession())
	return cmd
}

func newShowSession() *cobra.Command {
	return query[session.View]{
		use: "show NAME", short: "show an open session", args: oneSession,
		long:    "show shows an open session.\n\n" + aboutNames,
		request: func(args []string) daemon.Request { return daemon.SessionRequest(args[0]) },
		print:   printSession, json: func(v session.View) any { return v },
	}.command()
}

func newEndSession() *cobra.Command {
	cmd := &cobra.Command{
		Use: "end NAME", Short: "end an open session as incomplete", Args: oneSession,
		Long: `end ends an open session as incomplete, after the step that is being judged in it. The next step
of its client begins another.

` + aboutNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := send(cmd, daemon.EndRequest(args[0])); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "ended %s\n", args[0])
			return err
		},
	}
	addAgent(cmd)
	return cmd
}

const aboutNames = `NAME is the session's id, as "stepagent sessions" lists it: its name, and behind that the identity
or the address that it belongs to, if any. The name alone selects such a session if no other has it.`

// oneSession wants the name of a session as the only argument.
func oneSession(_ *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return cli.Usagef("name one session; see stepagent sessions")
	}
	return nil
}

// A column is one of the table of sessions.
type column struct {
	name string
	of   func(session.View) string
	// only leaves the column out unless it is true of a session; nil for a column that is always there.
	only func(session.View) bool
}

func columns() []column {
	return []column{
		{name: "SESSION", of: func(v session.View) string { return v.ID }},
		{name: "CLIENT", of: func(v session.View) string { return v.Client }},
		{"IDENTITY", func(v session.View) string { return cmp.Or(v.Identity, "-") }, func(v session.View) bool { return v.Identity != "" }},
		{name: "OPEN FOR", of: func(v session.View) string { return openFor(v).String() }},
		{name: "IDLE", of: func(v session.View) string { return idle(v).String() }},
		{name: "POSITION", of: func(v session.View) string { return fmt.Sprintf("%d/%d", v.Position, v.Steps) }},
		{name: "EXPECTS", of: expects},
		{name: "STEPS", of: func(v session.View) string { return v.Outcomes }},
		{name: "WAITS FOR", of: func(v session.View) string { return string(v.WaitsFor) }},
		{"RESTORED", func(v session.View) string { return yesOrNo(v.Restored) }, func(v session.View) bool { return v.Restored }},
	}
}

func printSessions(w io.Writer, l api.SessionList) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	shown := slices.DeleteFunc(columns(), func(c column) bool { return c.only != nil && !slices.ContainsFunc(l.Sessions, c.only) })
	row := func(cell func(column) string) {
		var cells []string
		for _, c := range shown {
			cells = append(cells, cell(c))
		}
		_, _ = fmt.Fprintln(t, strings.Join(cells, "\t")) // Flush returns the error
	}
	row(func(c column) string { return c.name })
	for _, v := range l.Sessions {
		row(func(c column) string { return c.of(v) })
	}
	if err := t.Flush(); err != nil || l.Total == len(l.Sessions) {
		return err
	}
	_, err := fmt.Fprintf(w, "%d of %d sessions; see --limit and --filter\n", len(l.Sessions), l.Total)
	return err
}

func openFor(v session.View) time.Duration { return time.Since(v.Began).Truncate(time.Second) }

// idle returns how long ago the last reply was.
func idle(v session.View) time.Duration { return time.Duration(v.Idle).Truncate(time.Second) }

// expects returns the number of the step that comes next, or - if any may.
func expects(v session.View) string {
	if v.Expects == nil {
		return "-"
	}
	return strconv.FormatInt(*v.Expects, 10)
}

func yesOrNo(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

func printSession(w io.Writer, v session.View) error {
	identity := ""
	if v.Identity != "" {
		identity = "identity   " + v.Identity + "\n"
	}
	_, err := fmt.Fprintf(w, `session    %s
client     %s
%sopen for   %v, since %s
idle       %v
position   %d of %d
expects    %s
steps      %s
undecided  %d
waits for  %s
restored   %s
`, v.ID, v.Client, identity, openFor(v), v.Began.Local().Format(time.DateTime), idle(v), v.Position, v.Steps, expects(v), v.Outcomes,
		v.Undecided, v.WaitsFor, yesOrNo(v.Restored))
	return err
}
