package main

import (
	"fmt"
	"io"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
)

// A view shows a run as it happens. Its methods are called one at a time, but suspend, which other
// goroutines may call.
type view interface {
	// suspend clears the view while write writes to stderr.
	suspend(write func())
	// event shows an event; step is the event's step after it.
	event(e record.Event, step record.StepResult)
	// interval shows that the wait after a step begins.
	interval(wait time.Duration)
	// result shows the result, after the last event.
	result(run record.Run)
}

// A lines view writes one line for each step, for a file or a pipe; with io.Discard it shows nothing.
// The stickyWriter below keeps write errors.
type lines struct{ to io.Writer }

func (lines) suspend(write func())   { write() }
func (lines) interval(time.Duration) {}

func (v lines) event(e record.Event, step record.StepResult) {
	if line := report.Line(e, step); line != "" {
		_, _ = fmt.Fprintln(v.to, line)
	}
}

func (v lines) result(run record.Run) { _, _ = fmt.Fprintln(v.to, report.Sentence(run)) }
