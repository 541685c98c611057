package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// The exit codes. They are documented in the help of stepctl run and verify.
const (
	exitPassed       = cli.ExitOK
	exitFailed       = cli.ExitFailure
	exitUsage        = cli.ExitUsage
	exitUnreachable  = 3
	exitEvidence     = 4
	exitInconclusive = 5 // of stepctl verify
)

// An exitError ends stepctl with a code. Err is nil when the output has said everything.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// codeOf returns the exit code of an error, or another one if it has none.
func codeOf(err error, other int) int {
	var end *exitError
	if errors.As(err, &end) {
		return end.code
	}
	return other
}

// exit returns the exit code for what a command returned and writes the error to stderr. What is
// no exitError is an error of the command line. Problems of a step file begin with
// file:line:column instead of the program's name, so that editors find the place.
func exit(stderr io.Writer, cmd *cobra.Command, err error) int {
	if err == nil {
		return exitPassed
	}
	var end *exitError
	if !errors.As(err, &end) {
		cli.WriteError(stderr, cmd, err, true)
		return exitUsage
	}
	var unsound *stepfile.Error
	switch {
	case errors.As(err, &unsound):
		_, _ = fmt.Fprintln(stderr, unsound)
	case end.err != nil:
		cli.WriteError(stderr, cmd, end.err, false)
	}
	return end.code
}
