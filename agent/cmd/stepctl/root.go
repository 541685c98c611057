package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/shared/version"
)

// run is the whole program: it takes the command line without the program's name and
// returns the exit code.
func run(args []string, stdout, stderr *os.File) int {
	// Whoever stops reading what is printed does not stop the run: a write gives an error
	// instead of ending the process.
	signal.Ignore(syscall.SIGPIPE)
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	return exit(stderr, cmd, err)
}

func newRoot(stdout, stderr *os.File) *cobra.Command {
	root := &cobra.Command{
		Use:   "stepctl",
		Short: "Perform the procedure of a step file against an agent",
		Long: `stepctl performs the procedure of a step file against an agent, step by step, and
tells what came of it.`,
		Version:       version.String(),
		Args:          knownCommand,
		RunE:          func(*cobra.Command, []string) error { return errors.New("name a command, such as run or check") },
		SilenceErrors: true,
		SilenceUsage:  true,
		// As many letters may be wrong in a command's name to be found again.
		SuggestionsMinimumDistance: 2,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetVersionTemplate("stepctl {{.Version}}\n")
	root.AddCommand(newRun(stdout, stderr), newCheck(), newReport(), newVerify(), newLoad(stdout, stderr), newSettings(), newVersion())
	return root
}

// knownCommand takes what stands in the place of a command and is none.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return fmt.Errorf("unknown command %q%s", args[0], hint)
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Tell which version of stepctl this is",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "stepctl %s\n", version.String())
			return written(err)
		},
	}
}
