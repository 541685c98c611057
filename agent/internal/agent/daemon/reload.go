package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// freeAfter is how long after a reload the memory that only the reload needed is returned to the system. A
// start leaves less of it than a garbage collection takes for itself.
const freeAfter = 2 * time.Second

// startTimeout bounds how long validators may take to start, at a start and at a reload.
const startTimeout = 15 * time.Second

// errTooLong ends a start of validators, or the wait for another reload.
var errTooLong = fmt.Errorf("more than %v have passed", startTimeout)

// errBusy means that a reload has not begun, and that a later one may.
var errBusy = errors.New("another reload is in progress")

// errStops ends a reload.
var errStops = errors.New("the agent stops")

// Reload reads the config again and puts it in force: it starts the new validators in new processes,
// then switches everything at once. Steps being judged finish on the old validators. On an error
// nothing has changed. It waits for another reload in progress and is cancelled when the agent stops.
func (a *Agent) Reload(ctx context.Context) error {
	return a.reloadIf(ctx, func() bool { return true })
}

// errChanged ends a reload whose files changed during it.
var errChanged = errors.New("a file has changed while it was read; the next reload takes it")

// beginReload waits for another reload in progress, and fails with errBusy or errStops. Call endReload
// when it returns nil.
func (a *Agent) beginReload(ctx context.Context) error {
	select {
	case a.reloading <- struct{}{}:
		if a.stopping.Err() != nil { // select takes any case that is ready
			a.endReload()
			return errStops
		}
		return nil
	case <-a.stopping.Done():
		return errStops
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errBusy, context.Cause(ctx))
	}
}

func (a *Agent) endReload() { <-a.reloading }

// reloadIf is Reload, but fails with errChanged unless unchanged returns true at its end.
func (a *Agent) reloadIf(ctx context.Context, unchanged func() bool) error {
	if err := a.beginReload(ctx); err != nil {
		return err
	}
	defer a.endReload()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.stopping, cancel)()
	a.options.Service.Reloading()
	err := a.tryReload(ctx, unchanged)
	if err != nil && a.stopping.Err() != nil {
		err = errStops
	}
	last := api.LastReload{Time: time.Now()}
	if err != nil {
		last.Error = err.Error()
		a.options.Log.Error("reload refused, everything stays as it was", slog.String("error", err.Error()))
	}
	a.mu.Lock()
	a.reload = last
	a.mu.Unlock()
	a.totals.reloaded(err)
	a.ready()
	a.freeMemory.Reset(freeAfter)
	return err
}

func (a *Agent) tryReload(ctx context.Context, unchanged func() bool) error {
	began := time.Now()
	next, err := a.options.Load()
	if err != nil {
		return err
	}
	// Also for a config that is refused now, as a program that it names may appear later.
	a.auto.watch(a.current().Reload.Settle, began, watched(a.current(), next)...)
	certs, err := loadCertificates(next)
	if err != nil {
		return err
	}
	if err := checkReloadable(a.current(), next); err != nil {
		return err
	}
	if err := config.Emptied(a.current(), next); err != nil {
		return err
	}
	web, err := a.observers.prepare(ctx, next)
	if err != nil {
		return err
	}
	defer web.drop()
	nats, err := a.fleet.prepare(next)
	if err != nil {
		return err
	}
	defer nats.drop()
	record, err := prepareRecord(a.record, a.current(), next, a.recordOptions, a.options.Log)
	if err != nil {
		return err
	}
	set, err := startValidators(ctx, a.host, next, a.set)
	if err == nil && !unchanged() {
		set.Close(context.Background())
		err = errChanged
	}
	if err != nil {
		record.drop()
		return err
	}

	// Nothing can fail from here on.
	chain := newChain(a.judge.Chain().Generation()+1, next, set)
	a.mu.Lock()
	oldSet, old := a.set, a.judge.Swap(chain)
	oldRecord := a.record
	a.config, a.set, a.record = next, set, record.Writer
	a.totals.validators.Replace(set)
	if oldRecord != record.Writer {
		a.totals.endRecord(oldRecord)
	}
	a.mu.Unlock()
	nats.apply() // before the record uses another folder
	record.apply()
	a.useCertificates(next, certs, record.Writer)
	a.watchFiles(next, began)
	nats.begin()
	web.apply()
	a.options.Level.Set(level(next))
	a.sessions.SetOptions(sessionOptions(next, record.Writer))
	a.retire(old, func() {
		oldSet.Close(context.Background())
		a.totals.validators.End(oldSet)
		if oldRecord != record.Writer {
			oldRecord.Close() // the last steps of the old validators are in it
			a.totals.endedRecord(oldRecord)
		}
	})
	a.options.Log.Info("config reloaded", slog.String("config", source(next)),
		slog.String("validators", names(next)), slog.Uint64("generation", chain.Generation()))
	return nil
}

// retire closes the validators of a replaced chain once they have judged their last step.
func (a *Agent) retire(old *judge.Chain, closeSet func()) {
	a.retired.Go(func() {
		<-old.Drained()
		closeSet()
	})
}

// checkReloadable refuses changes of keys that cannot change while the agent runs.
func checkReloadable(old, next *config.Loaded) error {
	keys := config.NotReloadable(old.Config, next.Config)
	if len(keys) == 0 {
		return nil
	}
	var problems config.Problems
	for _, key := range keys {
		problems = append(problems, next.Problem(key, "cannot change while the agent runs; restart it, or set the old value again"))
	}
	return problems
}
