package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/shared/version"
)

// Exit codes of both programs. Each has further ones of its own from 3 on.
const (
	ExitOK      = 0
	ExitFailure = 1
	ExitUsage   = 2
)

// A UsageError is a mistake on the command line.
type UsageError struct{ error }

func (e UsageError) Unwrap() error { return e.error }

// Usage returns err as a UsageError.
func Usage(err error) error { return UsageError{err} }

// Usagef returns a formatted UsageError.
func Usagef(format string, args ...any) error { return Usage(fmt.Errorf(format, args...)) }

// Root completes the root command of a program, which has its Use, Short and Long, and adds the
// commands. Suggested names the command that is proposed when none is given.
func Root(root *cobra.Command, suggested string, commands ...*cobra.Command) *cobra.Command {
	root.Version = version.String()
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SuggestionsMinimumDistance = 2 // in letters, for an unknown command
	root.Args = knownCommand
	root.RunE = func(*cobra.Command, []string) error {
		return Usagef(`no command given; try "%s %s" or --help`, root.Name(), suggested)
	}
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(commands...)
	describeLibraryCommands(root)
	return root
}

// describeLibraryCommands adds the commands that cobra provides, with help in our voice.
func describeLibraryCommands(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Short = "show the help of a command"
		case "completion":
			cmd.Short = "write the completion script for a shell"
			for _, shell := range cmd.Commands() {
				shell.Short = "write the completion script for " + shell.Name()
				write := shell.RunE
				shell.RunE = func(cmd *cobra.Command, args []string) error {
					if err := write(cmd, args); err != nil {
						return OutputError{err}
					}
					return nil
				}
			}
		}
	}
}

// knownCommand refuses arguments of the root command: each is an unknown command.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return Usagef("unknown command %q%s", args[0], hint)
}

// NoArgs refuses arguments of a command.
func NoArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return Usagef("%s takes no argument %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// Version returns the command that shows the version. The command returns written's result for the
// error of the write, which may be nil.
func Version(written func(error) error) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "show the version", Args: NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", cmd.Root().Name(), version.String())
			return written(err)
		},
	}
}
