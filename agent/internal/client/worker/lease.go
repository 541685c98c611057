package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/queue"
)

// A lease keeps the claim of a job, and ends the job when it is lost. It is safe for concurrent use.
type lease struct {
	store  Store
	claim  *queue.Claim
	end    func(error) // ends the job
	logger *slog.Logger

	renewing sync.Mutex // held while the database is asked

	mu    sync.Mutex // guards until
	until time.Time  // when another worker may claim the entry, by this machine's clocks; never too late
}

// newLease returns the lease of a claim that was made just now.
func newLease(store Store, claim *queue.Claim, end context.CancelCauseFunc, logger *slog.Logger) *lease {
	// Claiming took a while. The first renewal is soon enough to make up for it.
	return &lease{store: store, claim: claim, end: end, logger: logger, until: time.Now().Add(store.Lease() / 2)}
}

// keep renews the lease in a goroutine until stop is called.
func (l *lease) keep(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(l.store.Lease() / 3)
		defer ticker.Stop()
		failing := false
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			err := l.renew(ctx)
			if err != nil && !failing && ctx.Err() == nil && !errors.As(err, new(*queue.LostError)) {
				l.logger.Warn("cannot renew the lease of the entry; the run goes on", "entry", l.claim.ID, "err", err)
			}
			failing = err != nil
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// renew prolongs the lease. If it is lost, the job ends.
func (l *lease) renew(ctx context.Context) error {
	l.renewing.Lock()
	defer l.renewing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, l.store.Lease()/3)
	defer cancel()
	began := time.Now()
	err := l.store.Renew(ctx, l.claim)
	var lost *queue.LostError
	switch {
	case err == nil:
		l.mu.Lock()
		l.until = began.Add(l.store.Lease())
		l.mu.Unlock()
	case errors.As(err, &lost):
		l.end(lost)
	}
	return err
}

// check returns an error if the lease is lost. Once it has ended by the clock, as after a pause of the
// process, the database is asked. While that is away, the run goes on.
func (l *lease) check() error {
	if l.lasts(time.Now()) {
		return nil
	}
	if err := l.renew(context.Background()); errors.As(err, new(*queue.LostError)) { // renew has a limit
		return err
	}
	return nil
}

// lasts reports whether no other worker can have claimed the entry. The monotonic clock may stand still
// while the machine sleeps, and the wall clock may be set back.
func (l *lease) lasts(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now.Before(l.until) && now.Round(0).Before(l.until.Round(0))
}
