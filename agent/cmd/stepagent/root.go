package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	// exitDegraded is that of status where the agent runs and is not as it should be.
	exitDegraded = 3
)

// run is the program but for its exit.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteC()
	lines := logging.NewQueue(stderr) // a pipe that is full does not keep the program from ending
	defer lines.Close()
	complaints := logging.Complaints(lines)
	var usage usageError
	var problems config.Problems
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errDegraded):
		return exitDegraded // the status has said why
	case errors.As(err, &usage), errors.As(err, &problems) && problems.FromFlags():
		_, _ = fmt.Fprintf(complaints, "stepagent:%s\nsee: %s --help\n", below(err), cmd.CommandPath())
		return exitUsage
	default:
		_, _ = fmt.Fprintf(complaints, "stepagent:%s\n", below(err))
		return exitFailure
	}
}

// below is an error after the program's name and a colon: one of several lines stands below it.
func below(err error) string {
	text := err.Error()
	if strings.Contains(text, "\n") {
		return "\n  " + strings.ReplaceAll(text, "\n", "\n  ")
	}
	return " " + text
}

// A usageError is a command line that makes no sense.
type usageError struct{ error }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "stepagent",
		Short: "judge whether clients perform a procedure in order, in time and within its rules",
		Long: `stepagent listens on a TCP port and judges the steps that clients send, by validators that
run in processes of their own. It is a systemd service as a rule; serve runs it by hand.
The client is stepctl.`,
		Version:       version.String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("name a command, such as serve or status")}
		},
		// As many letters may be wrong in a command's name to be found again.
		SuggestionsMinimumDistance: 2,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newServe(), newCheckConfig(), newReload(), newStatus(), newValidators(),
		newDemo(), newVersion(), newPlugin())
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
	return usageError{fmt.Errorf("unknown command %q%s", args[0], hint)}
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no argument %q", cmd.CommandPath(), args[0])}
	}
	return nil
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "show the version", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "stepagent %s\n", version.String())
			return err
		},
	}
}
