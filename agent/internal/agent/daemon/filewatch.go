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

// An autoReloader reloads when files have changed. Its methods are safe for concurrent use.
type autoReloader struct {
	log  *slog.Logger
	what string // is reloaded
	// reload reloads. It fails with errChanged when unchanged returns false in the end, and with errBusy
	// when another reload takes too long.
	reload func(ctx context.Context, unchanged func() bool) error
	done   sync.WaitGroup // the goroutine of the watcher

	mu      sync.Mutex         // guards the fields below
	watcher *filewatch.Watcher // nil while it does not watch
	files   []string
}

// watch watches the files, which were read since the given time, instead of those before; none stops it.
func (r *autoReloader) watch(settle time.Duration, since time.Time, files ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(files) == 0 {
		if r.watcher != nil {
			r.watcher.Close()
		}
		r.watcher, r.files = nil, nil
		return
	}
	slices.Sort(files)
	r.files = slices.Compact(files)
	if r.watcher == nil {
		watcher := filewatch.New(r.log)
		r.watcher = watcher
		r.done.Go(func() { r.run(watcher) })
	}
	r.watcher.Watch(r.files, settle, since)
}

// watched returns the files of the configs to watch; none where the first does not want it.
func watched(configs ...*config.Loaded) (files []string) {
	if !configs[0].Reload.OnChange {
		return nil
	}
	for _, c := range configs {
		files = append(files, c.Watched()...)
	}
	return files
}

// watchFiles watches the files of the config in force, which were read since the given time. Those of the
// certificates are watched in any case, and read again alone.
func (a *Agent) watchFiles(c *config.Loaded, since time.Time) {
	var certs []string
	if set := a.certificates.current(); set != nil {
		certs = set.Files()
	}
	others := slices.DeleteFunc(watched(c), func(file string) bool { return slices.Contains(certs, file) })
	a.auto.watch(c.Reload.Settle, since, others...)
	a.certFiles.watch(c.Reload.Settle, since, certs...)
}

// run reloads at each change until the watcher is closed.
func (r *autoReloader) run(watcher *filewatch.Watcher) {
	for change := range watcher.Changed() {
		r.log.Info("files have changed; "+r.what+" reloaded", slog.String("files", strings.Join(change.Files, ", ")))
		ctx, cancel := context.WithTimeoutCause(context.Background(), startTimeout, errTooLong)
		err := r.reload(ctx, func() bool { return watcher.Holds(change) })
		switch {
		case errors.Is(err, errBusy):
			r.log.Warn(r.what+" not reloaded yet; trying again", slog.String("error", err.Error()))
			watcher.Repeat()
		case errors.Is(err, errChanged):
			watcher.Repeat()
		} // the reload has logged any other error, unless the agent stops
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
