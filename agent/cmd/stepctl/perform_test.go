package main

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// A run that contradicts itself was performed: it is no mistake on the command line.
func TestContradictionIsNoUsageError(t *testing.T) {
	wrong := unfolded(fmt.Errorf("run: %w", &record.EventError{Event: 3, Problem: "x"}))
	if got := exit(io.Discard, new(cobra.Command), wrong); got != exitFailed {
		t.Errorf("exit code %d, want %d", got, exitFailed)
	}
	options := errors.New("the session must be printable")
	if got := unfolded(options); got != options {
		t.Errorf("error %v, want it unchanged", got)
	}
}
