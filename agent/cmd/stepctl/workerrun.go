package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
	"github.com/stepagent/stepagent/agent/internal/client/worker"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
)

// syncInterval is the time between two tries to store what waits for the database.
const syncInterval = time.Second

// A performer performs the jobs of a worker. It is safe for concurrent use.
type performer struct {
	db       *database.DB
	settings config.Client
	secured  *secured
	worker   string
	logger   *slog.Logger
	out      lockedWriter

	mu sync.Mutex // guards the next two
	// runs, failed and unreached count runs that have ended.
	runs, failed, unreached int
	lost                    error // evidence, the first time
}

// perform performs a job, see worker.Options.Perform.
func (p *performer) perform(ctx context.Context, job worker.Job) error {
	v, content, err := p.db.Procedure(ctx, job.Procedure, job.Version)
	if errors.Is(err, database.ErrMissing) {
		return &worker.UnsoundError{Err: err}
	}
	if err != nil {
		return err
	}
	procedure, findings := stepfile.Parse(versionName(v), content)
	if err := stepfile.AsError(procedure.Name, findings); err != nil {
		return &worker.UnsoundError{Err: err}
	}
	e := &execution{logger: p.logger.With("board", job.Board.Name), announced: true, view: boardLines{board: job.Board.Name, to: &p.out}}
	err = e.store(ctx, p.db, database.Meta{
		ID: job.Run, Procedure: v.Name, Version: v.Version, Board: job.Board.Name, Labels: job.RunLabels(),
		Entry: job.ID, Attempt: job.Attempt, Worker: p.worker,
	})
	if errors.As(err, new(*database.MetaError)) {
		return &worker.UnsoundError{Err: err}
	}
	if err != nil {
		return err
	}
	p.announce(job, v)
	ended := e.run(ctx, procedure, runner.Options{
		Address: job.Board.Address, DialTimeout: p.settings.Timeout.Duration(), MaxStrays: p.settings.MaxStrays,
		ClientVersion: version.Number(), Host: hostName(), Dial: job.Dial,
		TLS: p.secured.reload(e.logger), KeyLog: p.secured.keylogPath(),
	})
	if e.waits {
		p.takeIn(ctx, e.logger)
	}
	return p.count(ctx, e, ended)
}

// takeIn stores the run that waits in a file as soon as the database is back, so that the entry is not
// settled before.
func (p *performer) takeIn(ctx context.Context, logger *slog.Logger) {
	retry := time.NewTicker(syncInterval)
	defer retry.Stop()
	for {
		result, err := p.db.Sync(ctx)
		if err == nil {
			for _, problem := range result.Problems {
				logger.Error("events that wait in a file cannot be stored", "err", problem)
			}
			return
		}
		select {
		case <-ctx.Done():
			return // what opens the database next takes it in
		case <-retry.C:
		}
	}
}

// announce prints the line before those of the steps.
func (p *performer) announce(job worker.Job, v database.Version) {
	line := fmt.Sprintf("%s: entry %d: %s, run %s", job.Board.Name, job.ID, logging.Clean(versionName(v)), job.Run)
	if job.Attempt > 1 {
		line += fmt.Sprintf(", attempt %d", job.Attempt)
	}
	if job.Interrupted != "" {
		line += fmt.Sprintf(" after the interrupted run %s", logging.Clean(job.Interrupted))
	}
	_, _ = fmt.Fprintln(&p.out, line) // the queue and the run tell the same
}

// count counts a run and its loss of evidence. It returns an error if the run was interrupted.
func (p *performer) count(ctx context.Context, e *execution, ended error) error {
	if lost := e.logLoss(ended); lost != nil {
		p.mu.Lock()
		if p.lost == nil {
			p.lost = lost
		}
		p.mu.Unlock()
	}
	run := e.live.Run()
	if run.Cause == record.Interrupted && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.runs++
	switch {
	case run.Unreached(), run.Refused():
		p.unreached++
	case run.Verdict != record.Pass:
		p.failed++
	}
	return nil
}

// loss returns an error if some of a run could not be stored.
func (p *performer) loss() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost == nil {
		return nil
	}
	return &exitError{code: exitEvidence}
}

// verdict returns the error with the exit code of all runs.
func (p *performer) verdict() error {
	if err := p.loss(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.runs > 0 && p.unreached == p.runs:
		return &exitError{code: exitUnreachable}
	case p.failed+p.unreached > 0:
		return &exitError{code: exitFailed}
	}
	return nil
}

// A lockedWriter writes the lines of several goroutines, each in one piece.
type lockedWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

// A boardLines view writes the lines of a lines view, each after the name of a board.
type boardLines struct {
	lines
	board string
	to    io.Writer
}

func (v boardLines) event(e record.Event, step record.StepResult) {
	if line := report.Line(e, step); line != "" {
		_, _ = fmt.Fprintf(v.to, "%s: %s\n", v.board, line) // the run is in the database
	}
}

func (v boardLines) result(run record.Run) {
	_, _ = fmt.Fprintf(v.to, "%s: %s\n", v.board, report.Sentence(run))
}
