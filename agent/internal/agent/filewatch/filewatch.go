// Package filewatch reports when files have changed and their writers have closed them.
//
// It watches every folder on the path of each file, see inotify(7), so that a renamed file, a changed
// link and a replaced folder are changes like a write. A written file counts only once it is closed,
// as a writer may pause in the middle. Where the kernel sends no events, as on network file systems,
// the files are polled.
package filewatch

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// pollInterval is how often the files are polled in any case.
const pollInterval = 10 * time.Second

// A Watcher watches some files. Its methods are safe for concurrent use.
type Watcher struct {
	log     *slog.Logger
	changed chan Change
	closing chan struct{}
	again   chan struct{} // of one slot: request has changed
	once    sync.Once
	events  atomic.Uint64

	mu      sync.Mutex // guards the fields below
	request request
	err     error // why the kernel sends no events
}

// A request is the state that Watch and Repeat set for the goroutine of the Watcher.
type request struct {
	paths  []string
	settle time.Duration
	since  time.Time
	repeat bool
}

// New returns a Watcher that watches nothing yet.
func New(log *slog.Logger) *Watcher {
	w := &Watcher{log: log, changed: make(chan Change), closing: make(chan struct{}), again: make(chan struct{}, 1)}
	go w.run()
	return w
}

// Watch watches the files at these absolute paths instead of those before. A change since the given
// time counts. A change is reported when nothing more has changed for the time settle.
func (w *Watcher) Watch(paths []string, settle time.Duration, since time.Time) {
	w.update(func(r *request) { r.paths, r.settle, r.since = slices.Clone(paths), settle, since })
}

// Repeat reports all files as changed once more, for a reader during whose work files changed.
func (w *Watcher) Repeat() {
	w.update(func(r *request) { r.repeat = true })
}

func (w *Watcher) update(change func(*request)) {
	w.mu.Lock()
	change(&w.request)
	w.mu.Unlock()
	select {
	case w.again <- struct{}{}:
	default:
	}
}

// Changed returns the channel of changes, which is closed after Close.
func (w *Watcher) Changed() <-chan Change { return w.changed }

// A Change is files that have changed and were not being written to.
type Change struct {
	Files  []string
	seen   map[string]string // the states of all files then
	events uint64            // their number then
}

// Holds reports whether the files are unchanged since the change was found, so that a reader in
// between has read whole files.
func (w *Watcher) Holds(c Change) bool {
	return w.events.Load() == c.events && len(changeOf(slices.Collect(maps.Keys(c.seen)), c.seen).Files) == 0
}

// Err returns why the kernel sends no events, so that changes are found late; nil when it does.
func (w *Watcher) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Close ends the Watcher. It does not wait.
func (w *Watcher) Close() { w.once.Do(func() { close(w.closing) }) }

// run is the goroutine of the Watcher.
func (w *Watcher) run() {
	defer close(w.changed)
	n, err := newNotifier()
	if err != nil {
		n = &notifier{} // without events
	} else {
		defer n.close()
	}
	w.setErr(err)
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	settled := time.NewTimer(time.Hour)
	defer settled.Stop()
	settled.Stop()
	seen, events := map[string]string{}, n.events
	var r request
	for {
		select {
		case <-w.closing:
			return
		case <-w.again:
			r = w.take()
			w.setErr(n.watch(r.paths))
			if seen = seenOf(r.paths, seen, r.since); r.repeat {
				clear(seen)
			}
			settled.Reset(r.settle)
		case e, ok := <-events:
			if !ok {
				events = nil
			} else if n.handle(e) {
				w.events.Add(1)
				settled.Reset(r.settle)
				if closed := n.closed(e); closed != "" {
					forget(seen, closed) // a reader may have found it as it is, and refused it as not closed
				}
			}
		case <-poll.C:
			if len(changeOf(r.paths, seen).Files) > 0 {
				settled.Reset(r.settle)
			}
		case <-settled.C:
			if open := n.beingWritten(); open != "" {
				w.log.Info("a file is being written to; the reload waits until it is closed", "file", open)
				continue // its close is an event
			}
			c := changeOf(r.paths, seen)
			if len(c.Files) == 0 {
				continue
			}
			w.setErr(n.watch(r.paths)) // links may lead elsewhere
			c.events, seen = w.events.Load(), maps.Clone(c.seen)
			select {
			case w.changed <- c:
			case <-w.closing:
				return
			}
		}
	}
}

// forget removes the state of a file that was closed, under each path that leads to it or to its folder.
func forget(seen map[string]string, closed string) {
	for path := range seen {
		if real, err := filepath.EvalSymlinks(path); err == nil && (real == closed || real == filepath.Dir(closed)) {
			delete(seen, path)
		}
	}
}

// take returns the present request; repeat is true once for each Repeat.
func (w *Watcher) take() request {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.request
	w.request.repeat = false
	return r
}

func (w *Watcher) setErr(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

// seenOf returns the states of the paths: those seen before and, of new ones, as they are now.
func seenOf(paths []string, before map[string]string, since time.Time) map[string]string {
	seen := map[string]string{}
	for _, path := range paths {
		if state, known := before[path]; known {
			seen[path] = state
		} else {
			seen[path] = stateOf(path, since)
		}
	}
	return seen
}

// changeOf compares the files with those seen.
func changeOf(paths []string, seen map[string]string) Change {
	c := Change{seen: map[string]string{}}
	for _, path := range paths {
		c.seen[path] = stateOf(path, time.Time{})
		if c.seen[path] != seen[path] {
			c.Files = append(c.Files, path)
		}
	}
	return c
}

// stateOf returns a text that differs after each change of a file, or of a folder and its entries. A
// path that has changed since the given time has the state of no other.
func stateOf(path string, since time.Time) string {
	state, changed := stat(path)
	if entries, err := os.ReadDir(path); err == nil {
		for _, e := range entries {
			one, at := stat(path + "/" + e.Name())
			state += " " + e.Name() + one
			if at.After(changed) {
				changed = at
			}
		}
	}
	if !since.IsZero() && changed.After(since) {
		return "changed meanwhile"
	}
	return state
}

func stat(path string) (state string, changed time.Time) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return err.Error(), time.Time{}
	}
	//nolint:unconvert // the types differ between architectures
	return fmt.Sprint(st.Dev, st.Ino, st.Size, st.Mode, st.Mtim, st.Ctim), time.Unix(int64(st.Ctim.Sec), int64(st.Ctim.Nsec))
}
