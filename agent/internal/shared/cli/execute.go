package cli

import (
	"io"

	"github.com/spf13/cobra"
)

// An OutputError says that a text of the program itself, such as its help, could not be written.
type OutputError struct{ error }

func (e OutputError) Error() string { return "cannot write the output: " + e.error.Error() }

// Unwrap returns the error of the write.
func (e OutputError) Unwrap() error { return e.error }

// Execute executes the command line and returns the command that it names.
func Execute(root *cobra.Command) (*cobra.Command, error) {
	var helped *firstError
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		helped = &firstError{to: cmd.OutOrStdout()}
		cmd.SetOut(helped)
		help(cmd, args)
	})
	cmd, err := root.ExecuteC()
	switch {
	case err == nil && helped != nil && helped.err != nil:
		err = OutputError{helped.err}
	case err != nil && cmd == root && !IsUsage(err): // of --version
		err = OutputError{err}
	}
	return cmd, err
}

// A firstError is a writer that keeps its first error, as cobra ignores those of the help.
type firstError struct {
	to  io.Writer
	err error
}

func (w *firstError) Write(p []byte) (n int, err error) {
	if n, err = w.to.Write(p); w.err == nil {
		w.err = err
	}
	return n, err
}
