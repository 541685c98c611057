package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/load"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// A loadTest is one load test with its output.
type loadTest struct {
	options        load.Options
	json           bool
	verdict        func(load.Result) error // with the exit code
	stdout, stderr *os.File

	result load.Result
}

// perform performs the load and writes the result. The error has the exit code.
func (t *loadTest) perform(ctx context.Context) error {
	o := t.options
	progress := loadProgress{statusLine: statusLine{to: t.stderr, width: func() int { return terminalWidth(t.stderr) }}, total: o.Duration}
	if isTerminal(t.stderr) {
		o.Progress, o.ProgressInterval = progress.show, loadRedraw
	}
	var err error
	t.result, err = load.Run(ctx, o)
	if o.Progress != nil {
		progress.erase()
	}
	switch {
	case errors.Is(err, load.ErrUnreachable):
		return &exitError{exitUnreachable, err}
	case errors.Is(err, context.Canceled):
		return &exitError{exitFailed, errors.New("interrupted before the first step")}
	case err != nil:
		return &exitError{exitUsage, err}
	}
	write := writeLoad
	if t.json {
		write = writeLoadJSON
	}
	if err := written(write(t.stdout, o, t.result)); err != nil {
		return err
	}
	return t.verdict(t.result)
}

// store performs the load and stores it in a database. A load that is not stored fails with
// exitEvidence, unless it has failed in another way.
func (t *loadTest) store(ctx context.Context, db *database.DB, meta database.Meta) error {
	recorder, err := db.Begin(ctx, meta, func(err error) {
		_, _ = fmt.Fprintf(t.stderr, "stepctl: the load goes on without its database: %v\n", err)
	})
	if err != nil {
		return &exitError{exitEvidence, fmt.Errorf("nothing was sent: %w", err)}
	}
	failed := t.perform(ctx)
	stored, err := t.loadResult(ctx, failed)
	if err == nil {
		err = recorder.Finish(stored)
	}
	when := ""
	closed := recorder.Close()
	if errors.Is(closed, database.ErrWaiting) {
		when, closed = " when the database is back", nil // it was told
	}
	err = errors.Join(err, closed)
	_, _ = fmt.Fprintf(t.stderr, "stepctl: the load test is stored as %s%s\n", recorder.ID(), when)
	switch end, ok := errors.AsType[*exitError](failed); {
	case err == nil:
		return failed
	case ok:
		return &exitError{end.code, errors.Join(end.err, err)}
	}
	return &exitError{exitEvidence, err}
}

// loadResult returns what the database keeps of a load that ended with failed.
func (t *loadTest) loadResult(ctx context.Context, failed error) (database.LoadResult, error) {
	var text bytes.Buffer
	if err := writeLoadJSON(&text, t.options, t.result); err != nil {
		return database.LoadResult{}, err
	}
	r := t.result
	stored := database.LoadResult{JSON: bytes.TrimSpace(text.Bytes()), Verdict: record.Pass.String(), Cause: record.Finished, Duration: r.Elapsed.Seconds(),
		Passed: int64(r.Steps), Failed: int64(r.Count(load.Wrong) + r.Count(load.Missing) + r.Count(load.Lost))}
	stored.Steps = stored.Passed + stored.Failed
	switch {
	case codeOf(failed, exitPassed) == exitUnreachable:
		stored.Verdict, stored.Cause = record.Fail.String(), record.Lost
	case stored.Steps == 0:
		stored.Verdict = record.Undecided.String()
	case t.verdict(r) != nil:
		stored.Verdict = record.Fail.String()
	}
	if ctx.Err() != nil {
		stored.Cause = record.Interrupted
	}
	return stored, nil
}
