package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// exitDegraded is the exit code of status where the agent runs and is degraded.
const exitDegraded = 3

// run is the program but for its exit.
func run(args []string, stdout, stderr io.Writer) int {
	if isPlugin(args) {
		servePlugin()
		return cli.ExitOK
	}
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := cli.Execute(root)
	if err == nil {
		return cli.ExitOK
	}
	if errors.Is(err, errDegraded) {
		return exitDegraded // the status has said why
	}
	lines := logging.NewAsyncWriter(stderr) // a pipe that is full does not keep the program from ending
	defer lines.Close()
	var problems config.Problems
	usage := cli.IsUsage(err) || errors.As(err, &problems) && problems.FromFlags()
	cli.WriteError(logging.Complaints(lines), cmd, err, usage)
	if usage {
		return cli.ExitUsage
	}
	return cli.ExitFailure
}

func newRoot() *cobra.Command {
	return cli.Root(&cobra.Command{
		Use:   "stepagent",
		Short: "judge whether clients perform a procedure in order, in time and by its rules",
		Long: `stepagent listens on a TCP port and judges the steps that clients send, by validators that
run in processes of their own. It normally runs as a systemd service; serve runs it in the
foreground. The client is stepctl.`,
	}, "serve", newServe(), newCheckConfig(), newCreateBucket(), newReload(), newStatus(), newSessions(), newValidators(), newHealthcheck(), newDemo(),
		cli.Version(func(err error) error { return err }))
}
