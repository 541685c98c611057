package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// A query is a command that sends a request to the running agent and shows the reply.
type query[T any] struct {
	use, short, long string
	args             cobra.PositionalArgs
	request          func(args []string) daemon.Request
	print            func(io.Writer, T) error
	json             func(T) any   // the part that --json writes; nil without this flag
	verdict          func(T) error // how the command ends after the reply was shown; nil for always well
}

func newReload() *cobra.Command {
	return query[api.Status]{
		use: "reload", short: "reload the config of the running agent", args: cli.NoArgs, request: always(daemon.ReloadRequest),
		long: `reload waits until the new config is in force. The agent starts and checks new validators first.
On any error nothing changes, and reload prints the error and ends with 1.`,
		print: func(w io.Writer, s api.Status) error {
			_, err := fmt.Fprintf(w, "reloaded %s; generation %d of the validators is in force\n", s.Config, s.Generation)
			return err
		},
	}.command()
}

func newStatus() *cobra.Command {
	exitCode := true
	cmd := query[api.Status]{
		use: "status", short: "show the state of the running agent", args: cli.NoArgs, request: always(daemon.StatusRequest),
		long: `status shows the state of the running agent. It ends with 0 when the agent is healthy, with 3
when it is degraded, unless --exit-code=false, and with 1 when no agent answers.`,
		print: printStatus, json: func(s api.Status) any { return s },
		verdict: func(s api.Status) error {
			if exitCode && len(s.Trouble) > 0 {
				return errDegraded
			}
			return nil
		},
	}.command()
	cmd.Flags().BoolVar(&exitCode, "exit-code", true, "end with 3 when the agent is degraded")
	return cmd
}

func newValidators() *cobra.Command {
	cmd := query[api.Validators]{
		use: "validators", short: "show the validators of the running agent", args: cli.NoArgs, request: always(daemon.ValidatorsRequest),
		print: printValidators, json: func(v api.Validators) any { return v.Validators },
	}.command()
	cmd.AddCommand(newCheckValidator())
	return cmd
}

// always returns the request of a command without arguments.
func always(r daemon.Request) func([]string) daemon.Request {
	return func([]string) daemon.Request { return r }
}

// errDegraded ends the command status when the agent is degraded.
var errDegraded = errors.New("the agent is degraded")

func (q query[T]) command() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: q.use, Short: q.short, Long: q.long, Args: q.args,
		RunE: func(cmd *cobra.Command, args []string) error {
			reply, err := ask(cmd, q.request(args), daemon.Query[T])
			switch {
			case err != nil:
				return err
			case asJSON:
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				err = enc.Encode(q.json(reply))
			default:
				err = q.print(cmd.OutOrStdout(), reply)
			}
			if q.verdict != nil {
				return cmp.Or(err, q.verdict(reply))
			}
			return err
		},
	}
	addAgent(cmd)
	if q.json != nil {
		cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	}
	return cmd
}

// addAgent gives a command the flags that say which running agent it is for.
func addAgent(cmd *cobra.Command) {
	addSettings(cmd, "port", "admin-socket")
	addInstance(cmd)
}

// queryTimeout bounds how long a running agent may take to reply; a reload starts processes.
const queryTimeout = 30 * time.Second

// send sends a request to the agent that the command is for, and returns the body of the reply.
func send(cmd *cobra.Command, request daemon.Request) ([]byte, error) {
	return ask(cmd, request, daemon.Send)
}

// ask calls one of the functions of package daemon that send a request.
func ask[T any](cmd *cobra.Command, request daemon.Request, by func(context.Context, string, daemon.Request) (T, error)) (reply T, err error) {
	socket, err := adminSocket(cmd)
	if err != nil {
		return reply, err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), queryTimeout)
	defer cancel()
	reply, err = by(ctx, socket, request)
	return reply, nameInstances(cmd, err)
}

// adminSocket returns the admin socket of the agent that the command is for. The config file may have changed
// since the agent read it, or have become wrong: it does not say where the agent is, but the agent
// says which file it has read. On a reload the agent says itself, and in its log, what is wrong.
func adminSocket(cmd *cobra.Command) (string, error) {
	from := sources(cmd)
	from.AnyOwner = true // nothing that the config names is executed
	wanted := daemon.Wanted{ConfigFile: from.File, Dirs: daemon.SearchDirs(), PID: mainPID(),
		Exact: isSet(cmd, "port", "STEPAGENT_PORT") || isSet(cmd, "admin-socket", "STEPAGENT_ADMIN_SOCKET")}
	c, wrong := config.Load(from)
	if wrong != nil {
		from.File = ""
		var err error
		if c, err = config.Load(from); err != nil {
			return "", wrong
		}
	}
	wanted.Socket, wanted.Port = c.Admin.Socket, c.Port
	if wrong != nil && !wanted.Exact {
		wanted.Port = -1
	}
	socket, err := daemon.Find(cmd.Context(), wanted)
	if err != nil && wrong != nil {
		return "", wrong
	}
	return socket, err
}

// isSet reports whether a flag or its variable has been given.
func isSet(cmd *cobra.Command, flag, variable string) bool {
	return cmd.Flags().Changed(flag) || os.Getenv(variable) != ""
}

// mainPID is the agent for which systemd runs the command as ExecReload, systemd.exec(5); 0 for none.
func mainPID() int {
	pid, err := strconv.Atoi(os.Getenv("MAINPID"))
	if err != nil {
		return 0
	}
	return pid
}
