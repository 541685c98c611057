package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/filewatch"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// An autoReloader reloads when files of the config have changed. Its methods are safe for
// concurrent use.
type autoReloader struct {
	log *slog.Logger
	// reload reloads, and fails with errChanged when unchanged returns false in the end.
	reload func(ctx context.Context, unchanged func() bool) error
	done   sync.WaitGroup // the goroutine of the watcher

	mu      sync.Mutex         // guards the fields below
	watcher *filewatch.Watcher // nil while it does not watch
	files   []string
}

// watch watches the files of the configs, which were read since the given time, instead of those
// before. It stops watching where the config does not want it.
func (r *autoReloader) watch(wanted config.Reload, since time.Time, configs ...*config.Loaded) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !wanted.OnChange {
		if r.watcher != nil {
			r.watcher.Close()
		}
		r.watcher, r.files = nil, nil
		return
	}
	var paths []string
	for _, c := range configs {
		paths = append(paths, c.Watched()...)
	}
	slices.Sort(paths)
	r.files = slices.Compact(paths)
	if r.watcher == nil {
		watcher := filewatch.New(r.log)
		r.watcher = watcher
		r.done.Go(func() { r.run(watcher) })
	}
	r.watcher.Watch(r.files, wanted.Settle, since)
}

// run reloads at each change until the watcher is closed.
func (r *autoReloader) run(watcher *filewatch.Watcher) {
	for change := range watcher.Changed() {
		r.log.Info("files have changed; the config is reloaded", slog.String("files", strings.Join(change.Files, ", ")))
		ctx, cancel := context.WithTimeoutCause(context.Background(), startTimeout, errTooLong)
		err := r.reload(ctx, func() bool { return watcher.Holds(change) })
		if errors.Is(err, errChanged) {
			watcher.Repeat()
		} // the reload has logged any other error
		cancel()
	}
}

func (r *autoReloader) status() api.Watch {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watcher == nil {
		return api.Watch{}
	}
	w := api.Watch{Files: r.files}
	if err := r.watcher.Err(); err != nil {
		w.Error = err.Error()
	}
	return w
}
