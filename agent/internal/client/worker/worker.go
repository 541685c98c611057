// Package worker performs the entries of a queue: one run at a time on each board, the boards side by
// side. It decides when an entry is claimed, renewed, interrupted and settled; the caller says how
// one is performed.
package worker

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/boards"
	"github.com/stepagent/stepagent/agent/internal/client/queue"
)

const (
	// recheck is the longest time between two looks at the queue. It finds what no notice has
	// announced, as after a step of the clock.
	recheck = 10 * time.Second
	// retryAfter is the time between two tries to reach the database.
	retryAfter = time.Second
	// settleTimeout limits how long a worker that is told to stop tries to settle an entry.
	settleTimeout = 10 * time.Second
)

// A Store is the queue as a worker needs it: a *queue.Queue, whose methods say what these do.
type Store interface {
	Claim(ctx context.Context, w queue.Wanted) (*queue.Claim, error)
	Wait(ctx context.Context, boards []string) (wait time.Duration, ok bool, err error)
	Lost(ctx context.Context, claims []*queue.Claim) ([]*queue.LostError, error)
	Renew(ctx context.Context, c *queue.Claim) error
	Finish(ctx context.Context, c *queue.Claim) (queue.Entry, error)
	Release(ctx context.Context, c *queue.Claim) error
	Fail(ctx context.Context, c *queue.Claim, problem string) error
	Lease() time.Duration
}

// A Job is what is performed.
type Job struct {
	*queue.Claim
	Board boards.Board
	// Dial connects to the board. The connection sends nothing once another worker may perform the
	// entry: when the lease has ended, as after a pause of the process, the database is asked first.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// An UnsoundError says that an entry cannot be performed, by any worker.
type UnsoundError struct{ Err error }

func (e *UnsoundError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *UnsoundError) Unwrap() error { return e.Err }

// Options configure a worker.
type Options struct {
	Store Store
	// Name names the worker in the queue.
	Name string
	// Boards are those that the worker knows. Entries of others are left to other workers.
	Boards []boards.Board
	// Jobs limits how many entries are performed at the same time; 0 is one for each board.
	Jobs int
	// Until ends Run when all entries are performed that are due by then; zero for never.
	Until time.Time
	// Perform performs a job. Calls for different boards overlap. nil means that the entry was
	// performed, whatever the verdict. An *UnsoundError fails the entry. After any other error, which
	// is one of ctx if that has ended, the entry goes back to the queue.
	Perform func(ctx context.Context, job Job) error
	// Wake says that the queue may have changed. It may be closed when ctx ends.
	Wake <-chan struct{}
	// Logger gets what is not about one run.
	Logger *slog.Logger
}

// Run performs entries until ctx ends, and then interrupts the present runs and gives their entries
// back. It returns an error only if the queue could not be read at first, or with Until.
func Run(ctx context.Context, o Options) error {
	if o.Jobs <= 0 {
		o.Jobs = len(o.Boards)
	}
	w := &worker{Options: o, running: map[string]*job{}, ended: make(chan *job)}
	return w.loop(ctx)
}

// A worker is a running worker. Its fields belong to the goroutine of Run.
type worker struct {
	Options
	running map[string]*job // by board
	ended   chan *job
	problem string // of the database, as it was logged; empty for none
	// claimFrom is when claims begin again after the database was away: those who have leases that
	// ended meanwhile renew them first.
	claimFrom time.Time
}

// loop claims and starts jobs, and waits for what changes that.
func (w *worker) loop(ctx context.Context) error {
	once := !w.Until.IsZero()
	for first := true; ; first = false {
		wait, err := w.fill(ctx)
		if err != nil && ctx.Err() == nil {
			if first || once {
				w.drain()
				return err
			}
			w.report(err)
			wait = retryAfter
		}
		if len(w.running) == 0 && (once || ctx.Err() != nil) {
			return nil //nolint:nilerr // an error after the end of ctx is that of ctx
		}
		w.await(ctx, wait)
	}
}

// drain waits for all jobs to end.
func (w *worker) drain() {
	for len(w.running) > 0 {
		j := <-w.ended
		delete(w.running, j.Board.Name)
	}
}

// report logs that the database fails, or, with nil, that it does not any more; each once.
func (w *worker) report(err error) {
	switch {
	case err == nil && w.problem != "":
		w.problem = ""
		w.claimFrom = time.Now().Add(w.Store.Lease() / 2) // leases are renewed in less
		w.Logger.Info("the queue can be read again")
	case err != nil && err.Error() != w.problem:
		w.problem = err.Error()
		w.Logger.Error("the queue cannot be read; trying again", "err", err)
	}
}

// fill starts jobs as long as there are free boards and due entries. It returns how long the rest
// can wait.
func (w *worker) fill(ctx context.Context) (wait time.Duration, err error) {
	for len(w.running) < w.Jobs && ctx.Err() == nil {
		var names []string
		for _, board := range w.Boards {
			if w.running[board.Name] == nil {
				names = append(names, board.Name)
			}
		}
		wait, ok, err := w.Store.Wait(ctx, names)
		if err != nil {
			return 0, err
		}
		w.report(nil)
		if !ok || wait > 0 {
			return w.pause(wait, ok), nil
		}
		if left := time.Until(w.claimFrom); left > 0 {
			return left, nil
		}
		claim, err := w.Store.Claim(ctx, queue.Wanted{Worker: w.Name, Boards: names, Until: w.Until})
		if err != nil {
			return 0, err
		}
		if claim == nil { // another worker was faster, or it is due after Until
			return retryAfter, nil
		}
		w.start(ctx, claim)
	}
	return recheck, nil
}

// pause bounds the time until an entry is due.
func (*worker) pause(wait time.Duration, ok bool) time.Duration {
	if !ok {
		return recheck
	}
	return min(wait+time.Millisecond, recheck) // it is due then, not about to be
}

// await waits until a job ends, the queue may have changed, time has passed or ctx ends.
func (w *worker) await(ctx context.Context, wait time.Duration) {
	stop := ctx.Done()
	if ctx.Err() != nil {
		stop = nil // only the jobs are waited for
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case j := <-w.ended:
		delete(w.running, j.Board.Name)
	case _, open := <-w.Wake:
		if !open {
			w.Wake = nil
		}
		w.checkLost(ctx)
	case <-timer.C:
		w.checkLost(ctx)
	case <-stop:
	}
}

// checkLost interrupts the jobs whose entries were cancelled or are another worker's.
func (w *worker) checkLost(ctx context.Context) {
	var claims []*queue.Claim
	jobs := map[int64]*job{}
	for _, j := range w.running {
		claims = append(claims, j.Claim)
		jobs[j.ID] = j
	}
	lost, err := w.Store.Lost(ctx, claims)
	if err != nil {
		return // each lease finds out by itself
	}
	for _, l := range lost {
		jobs[l.ID].lease.end(l)
	}
}
