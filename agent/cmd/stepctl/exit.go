package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// The voice of stepctl: an error is "stepctl: " and one sentence in lower case with no full
// stop, which names what is wrong and what to do. A mistake on the command line adds where
// the help is. Findings in a step file begin with file:line:column instead, so that editors
// find the place. What was run and what came of it goes to stdout, all else to stderr.

// The exit codes. They are documented in the help of stepctl run and verify.
const (
	exitPassed      = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitEvidence    = 4
	// exitInconclusive is of stepctl verify.
	exitInconclusive = 5
)

// An exitError ends stepctl with a code. Err is nil when everything has been said.
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

// exit returns the exit code for what a command returned, and says on stderr what has not
// been said.
func exit(stderr io.Writer, cmd *cobra.Command, err error) int {
	if err == nil {
		return exitPassed
	}
	var end *exitError
	if !errors.As(err, &end) {
		// What is no exitError comes from the command line.
		_, _ = fmt.Fprintf(stderr, "stepctl: %v\nsee %s --help\n", err, cmd.CommandPath())
		return exitUsage
	}
	var unsound *stepfile.Error
	switch {
	case errors.As(err, &unsound):
		_, _ = fmt.Fprintln(stderr, unsound)
	case end.err != nil:
		_, _ = fmt.Fprintf(stderr, "stepctl:%s\n", below(end.err))
	}
	return end.code
}

// below is an error after the program's name and a colon: one of several lines stands below it.
func below(err error) string {
	text := err.Error()
	if strings.Contains(text, "\n") {
		return "\n  " + strings.ReplaceAll(text, "\n", "\n  ")
	}
	return " " + text
}
