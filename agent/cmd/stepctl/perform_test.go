package main

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// Contradictory events are a defect, not a usage error.
func TestContradictionIsNoUsageError(t *testing.T) {
	wrong := runnerError(fmt.Errorf("run: %w", &record.EventError{Event: 3, Problem: "x"}))
	if got := exit(io.Discard, new(cobra.Command), wrong); got != exitFailed {
		t.Errorf("exit code %d, want %d", got, exitFailed)
	}
	options := errors.New("the session must be printable")
	if got := runnerError(options); got != options {
		t.Errorf("error %v, want it unchanged", got)
	}
}
