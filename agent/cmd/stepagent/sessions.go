package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
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
letter p, one that did not has f.`,
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

func printSessions(w io.Writer, l api.SessionList) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	header, identified := "", slices.ContainsFunc(l.Sessions, func(v session.View) bool { return v.Identity != "" })
	if identified {
		header = "IDENTITY\t"
	}
	_, _ = fmt.Fprintln(t, "SESSION\tCLIENT\t"+header+"OPEN FOR\tPOSITION\tSTEPS\tWAITS FOR") // Flush returns the error
	for _, v := range l.Sessions {
		client := v.Client
		if identified {
			client += "\t" + cmp.Or(v.Identity, "-")
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%d/%d\t%s\t%s\n", v.ID, client, openFor(v), v.Position, v.Steps, v.Outcomes, v.WaitsFor)
	}
	if err := t.Flush(); err != nil || l.Total == len(l.Sessions) {
		return err
	}
	_, err := fmt.Fprintf(w, "%d of %d sessions; see --limit and --filter\n", len(l.Sessions), l.Total)
	return err
}

func openFor(v session.View) time.Duration { return time.Since(v.Began).Truncate(time.Second) }

func printSession(w io.Writer, v session.View) error {
	identity := ""
	if v.Identity != "" {
		identity = "identity   " + v.Identity + "\n"
	}
	_, err := fmt.Fprintf(w, `session    %s
client     %s
%sopen for   %v, since %s
position   %d of %d
steps      %s
undecided  %d
waits for  %s
`, v.ID, v.Client, identity, openFor(v), v.Began.Local().Format(time.DateTime), v.Position, v.Steps, v.Outcomes, v.Undecided, v.WaitsFor)
	return err
}
