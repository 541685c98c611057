// Package journal writes the agent's own record, the trail, to files: in the background, so
// that judging never waits for a disk; in files that are exchanged for new ones by size and
// age; and within a bound for all of them together.
//
// Evidence comes second to judging. When there is no room in the queue, or on the disk,
// events are dropped; when a file is removed while it is written, its events are lost. Both
// are counted: in the status and, once there is room again, in the record itself.
package auditwriter

import (
	"log/slog"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
)

// Options say where and how much is written.
type Options struct {
	// Dir is the folder; it is made where it is missing, and locked against other agents.
	Dir string
	// FileBytes is the size at which a file is exchanged for a new one, in bytes; a file is
	// never larger. FileAge is the age at which it is.
	FileBytes int64
	FileAge   time.Duration
	// TotalBytes is the size of all files together, in bytes: the oldest are removed.
	TotalBytes int64
	// Queue is how many events may wait to be written.
	Queue int
	// Open is the first event of each file.
	Open auditlog.Open
}

// A Writer writes events. Its methods are safe for concurrent use.
type Writer struct {
	log  *slog.Logger
	wake chan struct{} // has a token when there is something to do
	done chan struct{}

	mu      sync.Mutex // guards the rest, and is never held while a disk is waited for
	options Options
	waiting []auditlog.Event
	taken   int    // events that the writer has taken and not written yet
	missed  uint64 // dropped because the queue was full, since the last note of it
	changes []*Change
	closed  bool
	status  Status
	// busy is when the writer began what it waits for now; zero when it waits for events.
	busy time.Time
}

// Open begins to write. The error says that the folder cannot be used, which is for the
// config to mend; a disk that is full is none, and is tried again.
func Open(options Options, log *slog.Logger) (*Writer, error) {
	folder, err := claim(options.Dir)
	if err != nil {
		return nil, err
	}
	return start(options, folder, log), nil
}

func start(options Options, folder files, log *slog.Logger) *Writer {
	j := &Writer{
		options: options, log: log, wake: make(chan struct{}, 1), done: make(chan struct{}),
		status: Status{Enabled: true, Dir: options.Dir}, busy: time.Now(),
	}
	w := &sink{journal: j, options: options, files: folder}
	go w.run()
	return j
}

// Record has the event written soon. It never waits. After Close it does nothing.
func (j *Writer) Record(e auditlog.Event) {
	j.mu.Lock()
	switch {
	case j.closed:
	case len(j.waiting)+j.taken >= j.options.Queue:
		j.missed++
	default:
		j.waiting = append(j.waiting, e)
	}
	j.mu.Unlock()
	j.rouse()
}

// rouse wakes the writer.
func (j *Writer) rouse() {
	select {
	case j.wake <- struct{}{}:
	default: // it has been told
	}
}

// A Change is other options that are ready to be put in force.
type Change struct {
	journal *Writer
	options Options
	folder  files // nil where the folder stays
}

// Prepare sees whether the record can go on with other options, and claims the folder where
// they name another one. The change must be applied or dropped.
func (j *Writer) Prepare(options Options) (*Change, error) {
	c := &Change{journal: j, options: options}
	j.mu.Lock()
	dir := j.options.Dir
	j.mu.Unlock()
	if isSame(dir, options.Dir) {
		return c, nil // it is claimed already
	}
	folder, err := claim(options.Dir)
	if err != nil {
		return nil, err
	}
	c.folder = folder
	return c, nil
}

// Apply has the journal go on with the options, in a new file. What is in the queue is still
// written to the old one.
func (c *Change) Apply() {
	j := c.journal
	j.mu.Lock()
	j.options = c.options
	j.changes = append(j.changes, c)
	j.mu.Unlock()
	j.rouse()
}

// Drop gives the change up.
func (c *Change) Drop() {
	if c.folder != nil {
		c.folder.release()
	}
}

// closeTime bounds how long Close waits for the disk.
const closeTime = 2 * time.Second

// Close writes what is in the queue and closes the file, in bounded time. It may be called
// again.
func (j *Writer) Close() {
	j.mu.Lock()
	j.closed = true
	dir := j.options.Dir
	j.mu.Unlock()
	j.rouse()
	select {
	case <-j.done:
	case <-time.After(closeTime):
		j.log.Warn("the record is not closed yet: the disk does not answer", slog.String("dir", dir))
	}
}
