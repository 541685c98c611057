package worker

import (
	"context"
	"errors"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/boards"
	"github.com/stepagent/stepagent/agent/internal/client/queue"
)

// A job is an entry that is being performed.
type job struct {
	Job
	w     *worker
	lease *lease
}

// start performs a claim in a goroutine.
func (w *worker) start(ctx context.Context, claim *queue.Claim) {
	ctx, cancel := context.WithCancelCause(ctx)
	l := newLease(w.Store, claim, cancel, w.Logger)
	j := &job{Job: Job{Claim: claim, Dial: l.dial}, w: w, lease: l}
	for _, board := range w.Boards {
		if board.Name == claim.Board {
			j.Board = boards.Board{Name: board.Name, Address: board.Address}
		}
	}
	w.running[j.Board.Name] = j
	go func() {
		defer cancel(nil)
		stop := l.keep(ctx)
		err := w.Perform(ctx, j.Job)
		stop()
		j.settle(ctx, err)
		w.ended <- j
	}()
}

// settle tells the queue how the job ended. It tries until it is told, or until the worker stops.
func (j *job) settle(ctx context.Context, performed error) {
	logger := j.w.Logger.With("entry", j.ID, "board", j.Board.Name)
	var lost *queue.LostError
	if errors.As(context.Cause(ctx), &lost) {
		logger.Warn("the run was interrupted; its entry "+lost.How, "run", j.Run)
		return
	}
	var unsound *UnsoundError
	tell := j.w.Store.Release
	switch {
	case performed == nil:
		tell = func(ctx context.Context, c *queue.Claim) error {
			entry, err := j.w.Store.Finish(ctx, c)
			if err == nil && entry.Problem != "" {
				logger.Error("the entry cannot be performed again", "problem", entry.Problem)
			}
			return err
		}
	case errors.As(performed, &unsound):
		logger.Error("the entry cannot be performed", "problem", unsound.Err)
		tell = func(ctx context.Context, c *queue.Claim) error { return j.w.Store.Fail(ctx, c, unsound.Error()) }
	case ctx.Err() != nil:
		logger.Warn("the run was interrupted; its entry goes back to the queue", "run", j.Run)
	default:
		logger.Error("the entry goes back to the queue", "err", performed)
		pause(ctx, retryAfter)
	}
	for tries := 0; ; tries++ {
		err := j.tell(ctx, tell)
		switch {
		case err == nil:
			return
		case errors.As(err, &lost):
			logger.Warn("what came of the run does not count; its entry "+lost.How, "run", j.Run)
			return
		case tries == 0:
			logger.Error("cannot tell the queue that the run has ended; trying again", "err", err)
		}
		if ctx.Err() != nil {
			logger.Error("the queue was not told that the run has ended; another worker will take the entry up", "run", j.Run)
			return
		}
		pause(ctx, retryAfter)
	}
}

// tell calls tell with the time that a worker has which is told to stop.
func (j *job) tell(ctx context.Context, tell func(context.Context, *queue.Claim) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	return tell(ctx, j.Claim)
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
