package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/filewatch"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// A Watch says which files' changes the agent puts in force by itself; none where it does not.
type Watch struct {
	Files []string `json:"files,omitempty"`
	// Error says why it finds changes late; empty when it does not.
	Error string `json:"error,omitempty"`
}

// watchFiles has the agent reload by itself when the files of the configs change, which were read since
// the given time; or no more, where that is not wanted.
func (a *Agent) watchFiles(wanted config.Reload, since time.Time, configs ...*config.Loaded) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !wanted.OnChange {
		if a.watcher != nil {
			a.watcher.Close()
		}
		a.watcher, a.watched = nil, nil
		return
	}
	var paths []string
	for _, c := range configs {
		paths = append(paths, c.Watched()...)
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	if a.watcher == nil {
		watcher := filewatch.New(a.options.Log)
		a.watcher = watcher
		a.watching.Go(func() { a.reloadOnChange(watcher) })
	}
	a.watched = paths
	a.watcher.Watch(paths, wanted.Settle, since)
}

// reloadOnChange reloads at each change until the watcher is closed.
func (a *Agent) reloadOnChange(watcher *filewatch.Watcher) {
	for change := range watcher.Changed() {
		a.options.Log.Info("files have changed; the config is reloaded", slog.String("files", strings.Join(change.Files, ", ")))
		ctx, cancel := context.WithTimeoutCause(context.Background(), startTimeout, errTooLong)
		err := a.reloadIf(ctx, func() bool { return watcher.Holds(change) })
		if errors.Is(err, errChanged) {
			watcher.Repeat()
		} // any other error is logged, and kept for the status
		cancel()
	}
}

// watchStatus says what is watched. The caller holds mu.
func (a *Agent) watchStatus() Watch {
	if a.watcher == nil {
		return Watch{}
	}
	w := Watch{Files: a.watched}
	if err := a.watcher.Err(); err != nil {
		w.Error = err.Error()
	}
	return w
}
