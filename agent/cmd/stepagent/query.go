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

	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// A query is a command that sends a request to the running agent and shows the reply.
type query struct {
	use, short, long string
	request          daemon.Request
	print            func(io.Writer, daemon.Status) error
	json             func(daemon.Status) any // the part that --json writes; nil without this flag
	checksHealth     bool                    // the command ends with errDegraded when the agent is degraded
}

func newReload() *cobra.Command {
	return query{
		use: "reload", short: "reload the config of the running agent", request: daemon.ReloadRequest,
		long: `reload waits until the new config is in force. The agent starts and checks new validators first.
On any error nothing changes, and reload prints the error and ends with 1.`,
		print: func(w io.Writer, s daemon.Status) error {
			_, err := fmt.Fprintf(w, "reloaded %s; generation %d of the validators is in force\n", s.Config, s.Generation)
			return err
		},
	}.command()
}

func newStatus() *cobra.Command {
	return query{
		use: "status", short: "show the state of the running agent", request: daemon.StatusRequest,
		long: `status shows the state of the running agent. It ends with 0 when the agent is healthy, with 3
when it is degraded, and with 1 when no agent answers.`,
		print: printStatus, json: func(s daemon.Status) any { return s }, checksHealth: true,
	}.command()
}

func newValidators() *cobra.Command {
	cmd := query{
		use: "validators", short: "show the validators of the running agent", request: daemon.StatusRequest,
		print: printValidators, json: func(s daemon.Status) any { return s.Validators },
	}.command()
	cmd.AddCommand(newCheckValidator())
	return cmd
}

// errDegraded ends the command status when the agent is degraded.
var errDegraded = errors.New("the agent is degraded")

func (q query) command() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: q.use, Short: q.short, Long: q.long, Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := q.send(cmd)
			switch {
			case err != nil:
			case asJSON:
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				err = enc.Encode(q.json(status))
			default:
				err = q.print(cmd.OutOrStdout(), status)
			}
			if q.checksHealth && len(status.Trouble) > 0 {
				return cmp.Or(err, errDegraded)
			}
			return err
		},
	}
	addSettings(cmd, "port", "admin-socket")
	addInstance(cmd)
	if q.json != nil {
		cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	}
	return cmd
}

// queryTimeout bounds how long a running agent may take to reply; a reload starts processes.
const queryTimeout = 30 * time.Second

// send sends the request to the agent that the command's flags and config point to.
func (q query) send(cmd *cobra.Command) (daemon.Status, error) {
	socket, err := adminSocket(cmd)
	if err != nil {
		return daemon.Status{}, err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), queryTimeout)
	defer cancel()
	status, err := daemon.Query(ctx, socket, q.request)
	return status, nameInstances(cmd, err)
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
