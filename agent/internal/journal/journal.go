// Package journal writes the agent's own record, the trail, to files: in the background, so
// that judging never waits for a disk; in files that are exchanged for new ones by size and
// age; and within a bound for all of them together.
//
// Evidence comes second to judging. When there is no room in the queue, or on the disk,
// events are dropped and counted; the count stands in the status and, once there is room
// again, in the record itself.
package journal

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/agent/internal/trail"
)

// Options say where and how much is written.
type Options struct {
	// Dir is the folder, which holds nothing else; it is made where it is missing.
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
	Open trail.Open
}

// A Journal writes events. Its methods are safe for concurrent use.
type Journal struct {
	options Options
	log     *slog.Logger
	queue   chan trail.Event
	missed  atomic.Uint64 // dropped because the queue was full, since the last note of it
	closing sync.Once
	stop    chan struct{}
	done    chan struct{}

	mu     sync.Mutex
	status Status
}

// A Status says how the journal fares.
type Status struct {
	Enabled bool   `json:"enabled"`
	Dir     string `json:"dir,omitempty"`
	// File is the name of the file that is written; empty while none can be.
	File string `json:"file,omitempty"`
	// Written and Dropped count events since the journal was opened.
	Written uint64 `json:"written"`
	Dropped uint64 `json:"dropped"`
	// Error says why nothing is written now, and Since when that began; empty when all is
	// well.
	Error string    `json:"error,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// Open begins to write. The error says that the folder cannot be used, which is for the
// config to mend; a disk that is full is none, and is tried again.
func Open(options Options, log *slog.Logger) (*Journal, error) {
	if err := prepare(options.Dir); err != nil {
		return nil, err
	}
	return start(options, disk{}, log), nil
}

func start(options Options, files files, log *slog.Logger) *Journal {
	j := &Journal{
		options: options, log: log, queue: make(chan trail.Event, options.Queue),
		stop: make(chan struct{}), done: make(chan struct{}),
		status: Status{Enabled: true, Dir: options.Dir},
	}
	w := &writer{journal: j, files: files}
	go w.run()
	return j
}

// prepare makes the folder and sees whether files can be made in it.
func prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil && !isPassing(err) {
		return fmt.Errorf("cannot make the folder: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	switch {
	case err == nil:
		_ = probe.Close() // it is empty
		return os.Remove(probe.Name())
	case isPassing(err):
		return nil
	default:
		return fmt.Errorf("cannot make a file in it: %w", err)
	}
}

// Record has the event written soon. It never waits. After Close it does nothing.
func (j *Journal) Record(e trail.Event) {
	select {
	case <-j.stop:
		return
	default:
	}
	select {
	case j.queue <- e:
	default:
		j.missed.Add(1)
	}
}

// Status returns how the journal fares now.
func (j *Journal) Status() Status {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.status
	s.Dropped += j.missed.Load()
	return s
}

func (j *Journal) note(change func(*Status)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&j.status)
}

// closeTime bounds how long Close waits for the disk.
const closeTime = 2 * time.Second

// Close writes what is in the queue and closes the file, in bounded time. It may be called
// again.
func (j *Journal) Close() {
	j.closing.Do(func() { close(j.stop) })
	select {
	case <-j.done:
	case <-time.After(closeTime):
		j.log.Warn("the record is not closed yet: the disk does not answer", slog.String("dir", j.options.Dir))
	}
}
