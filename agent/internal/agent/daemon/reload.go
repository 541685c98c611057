package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// LastReload says how the last reload went. The zero value: there was none.
type LastReload struct {
	Time time.Time `json:"time,omitzero"`
	// Error says why nothing changed; empty when the reload succeeded.
	Error string `json:"error,omitempty"`
}

// startTimeout bounds how long validators may take to start, at a start and at a reload.
const startTimeout = 15 * time.Second

// errTooLong is why a start of validators, or waiting for another reload, is given up.
var errTooLong = fmt.Errorf("more than %v have passed", startTimeout)

// errStops is why a reload is given up.
var errStops = errors.New("the agent stops")

// Reload reads the config again and puts it in force: new validators first, each in a new
// process, then everything at once. Steps that are being judged finish on the old
// validators. On an error nothing has changed. It waits for another reload that is in
// progress, and is given up when the agent stops.
func (a *Agent) Reload(ctx context.Context) error {
	return a.reloadIf(ctx, func() bool { return true })
}

// errChanged is why a reload is given up whose files changed while it went on.
var errChanged = errors.New("a file has changed while it was read; the next reload takes it")

// reloadIf is Reload, where it still holds in the end that the files are those that were read.
func (a *Agent) reloadIf(ctx context.Context, unchanged func() bool) error {
	select {
	case a.reloading <- struct{}{}:
		defer func() { <-a.reloading }()
	case <-a.stopping.Done():
		return errStops
	case <-ctx.Done():
		return fmt.Errorf("another reload is in progress: %w", context.Cause(ctx))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.stopping, cancel)()
	a.options.Service.Reloading()
	err := a.tryReload(ctx, unchanged)
	if err != nil && a.stopping.Err() != nil {
		err = errStops
	}
	last := LastReload{Time: time.Now()}
	if err != nil {
		last.Error = err.Error()
		a.options.Log.Error("reload refused, everything stays as it was", slog.String("error", err.Error()))
	}
	a.mu.Lock()
	a.reload = last
	a.mu.Unlock()
	a.ready()
	return err
}

func (a *Agent) tryReload(ctx context.Context, unchanged func() bool) error {
	if a.stopping.Err() != nil {
		return errStops
	}
	began := time.Now()
	next, err := a.options.Load()
	if err != nil {
		return err
	}
	// Also where this config is refused, and what it names comes to its place only later.
	a.auto.watch(a.current().Reload, began, a.current(), next)
	if err := unchangeable(a.current(), next); err != nil {
		return err
	}
	if err := config.Emptied(a.current(), next); err != nil {
		return err
	}
	record, err := prepareRecord(a.record, a.current(), next, a.recordHead(), a.options.Log)
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

	// From here on nothing can fail.
	chain := newChain(a.judge.Chain().Generation()+1, next, set)
	a.mu.Lock()
	oldSet, old := a.set, a.judge.Swap(chain)
	oldRecord := a.record
	a.config, a.set, a.record = next, set, record.Writer
	a.mu.Unlock()
	a.auto.watch(next.Reload, began, next)
	record.apply()
	a.options.Level.Set(level(next))
	a.server.SetOptions(serverOptions(next, a.options.Version, record.Writer))
	a.sessions.SetOptions(sessionOptions(next, record.Writer))
	a.retire(old, func() {
		oldSet.Close(context.Background())
		if oldRecord != record.Writer {
			closeRecord(oldRecord) // the last steps of the old validators are in it
		}
	})
	a.options.Log.Info("config reloaded", slog.String("config", source(next)),
		slog.String("validators", names(next)), slog.Uint64("generation", chain.Generation()))
	return nil
}

// retire closes the validators of a chain that is out of force once they have judged their
// last step, which takes as long as the longest step may.
func (a *Agent) retire(old *judge.Chain, closeSet func()) {
	a.retired.Go(func() {
		<-old.Drained()
		closeSet()
	})
}

// unchangeable names the keys that differ and cannot change while the agent runs.
func unchangeable(old, next *config.Loaded) error {
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
