package main

import (
	"fmt"
	"io"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
)

// A lines view writes one line for each step, as for a file or a pipe.
type lines struct{ to io.Writer }

func (lines) aside(do func())        { do() }
func (lines) interval(time.Duration) {}

// What cannot be written is known to the stickyWriter below.
func (v lines) event(e record.Event, step record.StepResult) {
	if line := report.Line(e, step); line != "" {
		_, _ = fmt.Fprintln(v.to, line)
	}
}

func (v lines) result(run record.Run) { _, _ = fmt.Fprintln(v.to, report.Sentence(run)) }

// A silent view shows nothing, because stdout is for the events alone.
type silent struct{}

func (silent) aside(do func())                       { do() }
func (silent) event(record.Event, record.StepResult) {}
func (silent) interval(time.Duration)                {}
func (silent) result(record.Run)                     {}
