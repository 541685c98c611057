package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/internal/client/capture/live"
	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
	"github.com/stepagent/stepagent/agent/internal/client/tlsdial"
	"github.com/stepagent/stepagent/agent/internal/client/verify"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// An execution is one run with its outputs.
type execution struct {
	view     view
	logger   *slog.Logger
	out      stickyWriter       // stdout, where the view writes
	evidence []*record.Writer   // of the events
	capture  *live.Recorder     // of the packets; nil for none
	stored   *database.Recorder // of the run in a database; nil for none

	announced bool // the view has shown the id of the stored run

	documents documents // written after the run
	recorded  recording // what they are made from; nil for no documents
	// failed is called at each step that did not pass; nil for no call.
	failed func()

	live       record.Live
	repeating  bool // the events are those of an interrupted run, before it is resumed
	waits      bool // some of the run waits in a file for its database
	dropping   bool // it was logged that messages of the agent are not kept
	unrecorded bool // the first event could not be written, so nothing is sent or shown
	warned     bool // a later loss of evidence was logged
	stop       context.CancelFunc
}

// run runs the procedure. The error has the exit code.
func (p *execution) run(ctx context.Context, procedure stepfile.Procedure, opts runner.Options) error {
	ctx, p.stop = context.WithCancel(ctx)
	defer p.stop()
	opts.Emit = p.emit
	p.repeating = opts.Resume != nil
	opts.OnInterval = func(_ int, _ int64, wait time.Duration) { p.view.interval(wait) }
	run, err := runner.Run(ctx, procedure, opts)
	closed := p.closeEvidence(run)
	if err != nil {
		return runnerError(err)
	}
	if p.unrecorded {
		return &exitError{exitEvidence, fmt.Errorf("nothing was sent: %w", closed)}
	}
	p.view.result(run)
	if p.stored != nil && (p.waits || !p.announced) {
		message := "the run is stored"
		if p.waits {
			message = "the run is stored when its database is back"
		}
		p.view.suspend(func() { p.logger.Info(message, "run", p.stored.ID()) })
	}
	if len(p.documents.requested()) > 0 {
		closed = errors.Join(closed, p.writeDocuments())
	}
	if err := closed; err != nil {
		return &exitError{exitEvidence, err}
	}
	if err := written(p.out.err); err != nil {
		return err
	}
	return verdictError(run)
}

// writeDocuments writes the documents, from what was recorded.
func (p *execution) writeDocuments() error {
	run, err := p.recorded.run()
	if err != nil {
		return err
	}
	return p.documents.write(run, nil)
}

// logLoss logs the error of run, unless that is the verdict alone, and then returns it.
func (p *execution) logLoss(ended error) error {
	var end *exitError
	if !errors.As(ended, &end) || end.err == nil {
		return nil
	}
	p.view.suspend(func() { p.logger.Error("the run is not whole", "err", end.err) })
	return end
}

// emit records, logs and shows each event as it happens.
func (p *execution) emit(e record.Event) {
	for _, writer := range p.evidence {
		// If the first event cannot be written, nothing is sent. A later error does not stop the
		// run; the exit code reports it at the end.
		switch err := writer.Write(e); {
		case err == nil || p.unrecorded:
		case e.Kind == record.KindStart:
			p.unrecorded = true
			p.stop()
		case !p.warned:
			p.warned = true
			p.view.suspend(func() { p.logger.Error("evidence is being lost; the run goes on", "err", err) })
		}
	}
	if p.unrecorded {
		return
	}
	step, err := p.live.Add(e)
	if err != nil {
		p.view.suspend(func() { p.logger.Error("the run contradicts itself", "err", err) })
		return
	}
	message, attrs := logEntry(e, step)
	if e.Kind == record.KindDropped && !p.dropping {
		p.dropping = true
		message, attrs = "too many messages answer no request; further ones are counted and not kept", nil
	}
	p.repeating = p.repeating && e.Kind != record.KindResumed
	if message != "" && !p.repeating {
		p.view.suspend(func() { p.logger.Warn(message, attrs...) })
	}
	p.view.event(e, step)
	if p.failed != nil && e.Kind.Settles() && step.Outcome != record.Passed {
		p.failed()
	}
}

// store begins to store the run in a database.
func (p *execution) store(ctx context.Context, db *database.DB, meta database.Meta) error {
	recorder, err := db.Begin(ctx, meta, p.waiting)
	if err != nil {
		return &exitError{exitEvidence, fmt.Errorf("nothing was sent: %w", err)}
	}
	p.stored = recorder
	p.evidence = append(p.evidence, record.NewWriter(recorder))
	return nil
}

// waiting logs that the database has failed. It is called by the goroutine of the recorder.
func (p *execution) waiting(err error) {
	p.view.suspend(func() { p.logger.Warn("the run goes on without its database", "err", err) })
}

// closeEvidence writes the evidence to disk and closes it.
func (p *execution) closeEvidence(run record.Run) error {
	var errs []error
	if p.capture != nil {
		comment := verify.CommentOf(run.Verdict.String(), report.Sentence(run), run.Start.Session)
		errs = append(errs, p.capture.Close(comment))
	}
	for _, writer := range p.evidence {
		errs = append(errs, writer.Close())
	}
	if p.stored != nil {
		// Events that wait in a file are not lost, and were logged.
		err := p.stored.Close()
		if p.waits = errors.Is(err, database.ErrWaiting); !p.waits {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// logEntry returns the log entry for an event; an empty message for none.
func logEntry(e record.Event, step record.StepResult) (message string, attrs []any) {
	switch e.Kind {
	case record.KindReply, record.KindTimeout, record.KindLost, record.KindWrong, record.KindUnreachable:
		if step.Outcome == record.Passed {
			return "", nil
		}
		message, attrs = "step failed", []any{"step_id", e.StepID, "reason", string(step.Reason), "detail", step.Detail}
	case record.KindAgain:
		if report.BeginsRetries(e, step) {
			message, attrs = "the step got no verdict and is tried again", []any{"step_id", e.StepID, "cause", string(e.Again.Cause)}
			if e.Detail != "" {
				attrs = append(attrs, "detail", e.Detail)
			}
		}
	case record.KindSent, record.KindResent:
		if e.Address != "" {
			message, attrs = "the run goes on with another agent", []any{"step_id", e.StepID, "address", e.Address}
		}
	case record.KindLate:
		message, attrs = "a reply came too late", []any{"step_id", e.StepID, "took", e.Took.Round(time.Millisecond)}
	case record.KindStray:
		message, attrs = "a message answers no request", []any{"kind", string(e.Stray), "detail", e.Detail}
	}
	return message, attrs
}

// runnerError gives an error of the runner its exit code. A contradiction in the events is a defect
// and not a usage error. Only a run that is resumed cannot begin without its agent.
func runnerError(err error) error {
	var wrong *record.EventError
	_, refused := errors.AsType[*tlsdial.RefusedError](err)
	switch {
	case errors.As(err, &wrong):
		return &exitError{exitFailed, fmt.Errorf("the run contradicts itself, a defect of stepctl: %w", err)}
	case refused || errors.Is(err, client.ErrUnreachable):
		return &exitError{exitUnreachable, fmt.Errorf("the run was not resumed: %w", err)}
	}
	return err
}

// errIncomplete says that messages of the agent were counted and not kept.
var errIncomplete = errors.New("the evidence is incomplete")

// verdictError returns the error with the exit code of a run.
func verdictError(run record.Run) error {
	switch {
	case run.Verdict == record.Pass && run.Dropped > 0:
		return &exitError{exitEvidence, fmt.Errorf("%w: %s answered no request and "+
			"%d of them were not kept; look at the agent, or run with a higher --max-strays",
			errIncomplete, phrase.Count(run.Unasked(), "message"), run.Dropped)}
	case run.Verdict == record.Pass:
		return nil
	case run.Unreached(), run.Refused():
		return &exitError{code: exitUnreachable}
	default:
		return &exitError{code: exitFailed}
	}
}
