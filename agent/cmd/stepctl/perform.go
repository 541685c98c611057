package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// A view shows a run as it happens. Its methods are called one at a time.
type view interface {
	// aside calls do, which writes to stderr, with the view out of the way.
	aside(do func())
	// event takes an event, and its step as it stands with it.
	event(e record.Event, step record.StepResult)
	// interval takes the beginning of the wait after a step.
	interval(wait time.Duration)
	// result takes what the run came to, after the last event.
	result(run record.Run)
}

// A performance is one run and all that watches it.
type performance struct {
	view   view
	logger *slog.Logger
	// out is stdout, where the view writes.
	out stickyWriter
	// evidence is where the events are written that were asked for.
	evidence []*record.Writer
	// capture gets the packets; nil when they are not asked for.
	capture *capture.Live

	// documents are written after the run from what was recorded, which is read back as it is
	// written.
	documents documents
	recorded  readBack

	live record.Live
	// dropping: it was logged that messages of the agent are not kept.
	dropping bool
	// unrecorded: the evidence could not even begin, so that nothing is sent or shown.
	unrecorded bool
	// warned: the loss of evidence was told while the run went on.
	warned bool
	// stop ends the run.
	stop context.CancelFunc
}

// perform runs the procedure, and returns the error that gives the exit code.
func (p *performance) perform(ctx context.Context, procedure stepfile.Procedure, opts runner.Options) error {
	ctx, p.stop = context.WithCancel(ctx)
	defer p.stop()
	opts.Emit = p.emit
	opts.OnInterval = func(_ int, _ int64, wait time.Duration) { p.view.interval(wait) }
	run, err := runner.Run(ctx, procedure, opts)
	closed := p.close(run)
	if err != nil {
		return unfolded(err)
	}
	if p.unrecorded {
		return &exitError{exitEvidence, fmt.Errorf("nothing was sent: %w", closed)}
	}
	p.view.result(run)
	if err := errors.Join(closed, p.report()); err != nil { // as much as can be is written
		return &exitError{exitEvidence, err}
	}
	if err := written(p.out.err); err != nil {
		return err
	}
	return verdictError(run)
}

// keep has the events read back for documents, where any are asked for.
func (p *performance) keep() {
	if len(p.documents.asked()) > 0 {
		p.evidence = append(p.evidence, record.NewWriter(&p.recorded))
	}
}

// A readBack is the run as a record tells it: it takes the lines of one and reads them, so that
// documents are the same as those made of the record later.
type readBack struct{ live record.Live }

func (r *readBack) Write(line []byte) (int, error) {
	log, err := record.Read(bytes.NewReader(line), "the run")
	if err != nil {
		return 0, err
	}
	for _, e := range log.Events {
		if _, err := r.live.Add(e); err != nil {
			return 0, err
		}
	}
	return len(line), nil
}

// report writes the documents as stepctl report would from the record.
func (p *performance) report() error {
	if len(p.documents.asked()) == 0 {
		return nil
	}
	return p.documents.write(p.recorded.live.Run(), nil)
}

// emit takes each event as it happens.
func (p *performance) emit(e record.Event) {
	for _, writer := range p.evidence {
		// When the evidence cannot even begin, nothing is sent. Later the steps go on, and
		// the exit code tells of it in the end.
		switch err := writer.Write(e); {
		case err == nil || p.unrecorded:
		case e.Kind == record.KindStart:
			p.unrecorded = true
			p.stop()
		case !p.warned:
			p.warned = true
			p.view.aside(func() { p.logger.Error("evidence is being lost; the run goes on", "err", err) })
		}
	}
	if p.unrecorded {
		return
	}
	step, err := p.live.Add(e)
	if err != nil {
		p.view.aside(func() { p.logger.Error("the run contradicts itself", "err", err) })
		return
	}
	message, attrs := failure(e, step)
	if e.Kind == record.KindDropped && !p.dropping {
		p.dropping = true
		message, attrs = "too many messages answer nothing; further ones are counted and not kept", nil
	}
	if message != "" {
		p.view.aside(func() { p.logger.Warn(message, attrs...) })
	}
	p.view.event(e, step)
}

// close makes the evidence of the run durable.
func (p *performance) close(run record.Run) error {
	var errs []error
	if p.capture != nil {
		errs = append(errs, p.capture.Close(closingComment(run)))
	}
	for _, writer := range p.evidence {
		errs = append(errs, writer.Close())
	}
	return errors.Join(errs...)
}

// failure tells what is to be logged of an event; an empty message for nothing.
func failure(e record.Event, step record.StepResult) (message string, attrs []any) {
	switch e.Kind {
	case record.KindReply, record.KindTimeout, record.KindLost, record.KindWrong, record.KindUnreachable:
		if step.Outcome == record.Passed {
			return "", nil
		}
		message, attrs = "step failed", []any{"step_id", e.StepID, "reason", string(step.Reason), "detail", step.Detail}
	case record.KindLate:
		message, attrs = "a reply came too late", []any{"step_id", e.StepID, "took", e.Took.Round(time.Millisecond)}
	case record.KindStray:
		message, attrs = "a message answers nothing", []any{"kind", string(e.Stray), "detail", e.Detail}
	}
	return message, attrs
}

// unfolded gives an error of the runner its exit code. A run that contradicts itself has been
// performed, and is no mistake on the command line.
func unfolded(err error) error {
	var wrong *record.EventError
	if errors.As(err, &wrong) {
		return &exitError{exitFailed, fmt.Errorf("the run contradicts itself, a defect of stepctl: %w", err)}
	}
	return err
}

// verdictError gives a run its exit code.
func verdictError(run record.Run) error {
	switch {
	case run.Verdict == record.Pass && run.Dropped > 0:
		return &exitError{exitEvidence, fmt.Errorf("the evidence is not whole: %s answered nothing and "+
			"%d of them were not kept; look at the agent, or run with a higher --max-strays",
			plural(run.Unasked(), "message"), run.Dropped)}
	case run.Verdict == record.Pass:
		return nil
	case run.Unreached():
		return &exitError{code: exitUnreachable}
	default:
		return &exitError{code: exitFailed}
	}
}
