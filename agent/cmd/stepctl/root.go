package main

import (
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/shared/cli"
)

// run is the whole program: it takes the command line without the program's name and
// returns the exit code.
func run(args []string, stdout, stderr *os.File) int {
	// A reader that closes the pipe does not stop the run: the write fails instead of ending the process.
	signal.Ignore(syscall.SIGPIPE)
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	cmd, err := cli.Execute(root)
	if output, ok := errors.AsType[cli.OutputError](err); ok {
		err = written(output.Unwrap())
	}
	return exit(stderr, cmd, err)
}

func newRoot(stdout, stderr *os.File) *cobra.Command {
	root := cli.Root(&cobra.Command{
		Use:   "stepctl",
		Short: "perform the procedure of a step file against an agent",
		Long: `stepctl performs the procedure of a step file against an agent, step by step, and
reports the result.`,
	}, "run", newRun(stdout, stderr), newCheck(), newReport(), newVerify(), newLoad(stdout, stderr), newHistory(), newSettings(), cli.Version(written))
	root.AddCommand(
		newDB(),
		newWeb(),
		newQueue(), newWorker(stdout, stderr),
		newCollect(stderr), newBoards(),
	)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return root
}
