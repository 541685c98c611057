// Package auditwriter writes the agent's own record, whose format is package auditlog: in the
// background, so that judging never waits for a disk; in files that rotate by size and age; and
// within a bound for all of them together.
//
// Judging comes before recording. When the queue or the disk is full, events are dropped; when a
// file is removed while it is written, its events are lost. Both are counted, in the status and,
// once there is room again, in the record itself.
package auditwriter

import (
	"log/slog"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/asyncwriter"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/outfile"
)

// Options say where and how much is written.
type Options struct {
	// Dir is the folder; it is created where it is missing, and locked against other agents.
	Dir string
	// FileBytes is the largest size of a file, and FileAge its largest age: then the next event
	// goes to a new file.
	FileBytes int64
	FileAge   time.Duration
	// TotalBytes is the largest size of all files together: the oldest are removed.
	TotalBytes int64
	// Queue is how many events may wait to be written.
	Queue int
	// Open is the first event of each file.
	Open auditlog.Open
	// Removing, unless it is nil, is called with the path of each file that is about to be removed, as one
	// of the oldest. Writing waits for it.
	Removing func(path string)
}

// A Writer writes events. Its methods are safe for concurrent use.
type Writer struct {
	log   *slog.Logger
	queue *asyncwriter.Writer[entry]

	mu      sync.Mutex // guards the rest; never held while a disk is waited for
	options Options
	status  Status // without the events that found the queue full
}

// An entry of the queue is an event, or a change of options.
type entry struct {
	event  auditlog.Event
	change *Change // nil for an event
}

// size counts the entry towards Options.Queue. A change is never dropped.
func (e entry) size() int {
	if e.change != nil {
		return 0
	}
	return 1
}

// Open locks the folder and starts to write. It fails when the folder cannot be used. A full disk
// is no failure: writing to it is tried again.
func Open(options Options, log *slog.Logger) (*Writer, error) {
	dir, err := openFolder(options.Dir)
	if err != nil {
		return nil, err
	}
	return start(options, dir, log), nil
}

func start(options Options, dir files, log *slog.Logger) *Writer {
	w := &Writer{
		log: log, queue: asyncwriter.New(options.Queue, entry.size),
		options: options, status: Status{Enabled: true, Dir: options.Dir},
	}
	s := &sink{writer: w, options: options, files: dir}
	go func() {
		s.openFile()
		w.queue.Run(s)
	}()
	return w
}

// Record queues the event. It never waits.
func (w *Writer) Record(e auditlog.Event) { w.queue.Write(entry{event: e}) }

// A Change is a set of options that is ready to be applied.
type Change struct {
	writer  *Writer
	options Options
	folder  files // nil where the folder stays the same
}

// Prepare checks whether the record can continue with other options, and locks their folder. The
// caller must call either Apply or Drop.
func (w *Writer) Prepare(options Options) (*Change, error) {
	c := &Change{writer: w, options: options}
	w.mu.Lock()
	dir := w.options.Dir
	w.mu.Unlock()
	if outfile.IsSame(dir, options.Dir) {
		return c, nil // it is locked already
	}
	folder, err := openFolder(options.Dir)
	if err != nil {
		return nil, err
	}
	c.folder = folder
	return c, nil
}

// Apply makes the options take effect, in a new file. Events that were queued before are still
// written to the old one.
func (c *Change) Apply() {
	w := c.writer
	w.mu.Lock()
	w.options = c.options
	w.mu.Unlock()
	w.queue.SetLimit(c.options.Queue)
	w.queue.Write(entry{change: c})
}

// Drop unlocks the folder of a change that is not applied.
func (c *Change) Drop() {
	if c.folder != nil {
		c.folder.unlock()
	}
}

// closeTimeout bounds how long Close waits for the disk.
const closeTimeout = 2 * time.Second

// Close writes the queued events and closes the file, within two seconds. It may be called again; on
// a nil Writer it does nothing.
func (w *Writer) Close() {
	if w == nil || w.queue.Close(closeTimeout) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log.Warn("the record is not closed yet: the disk does not answer", slog.String("dir", w.options.Dir))
}
