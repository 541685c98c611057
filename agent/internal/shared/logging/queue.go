package logging

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

const (
	// maxQueueBytes is what the lines of a Queue may take, in bytes.
	maxQueueBytes = 1 << 20
	// lastLinesTime is how long Close waits for what is left to be taken.
	lastLinesTime = time.Second
)

// A Queue writes lines in the background, so that nobody who logs waits for whoever takes the
// lines: a pipe that nobody reads, a journal that is stopped, a terminal that is halted. Lines for
// which there is no room are dropped and counted, and a line says so when there is room again. It
// is for the writer of one logger. A program that is killed loses the lines that are in it.
//
// A line that cannot be written, as the reader of a pipe has gone or a disk is full, is counted too,
// and the next one is tried. A journal that has closed the connection is connected to again.
type Queue struct {
	to   io.Writer
	wake chan struct{} // holds one token when there is something to see
	done chan struct{}

	mu      sync.Mutex
	logger  *slog.Logger // of New; nil before
	lines   [][]byte
	bytes   int   // of the lines, and of those that are being written
	stats   Stats // of all lines
	told    Stats // what a line has said of them
	stuck   bool  // a line was dropped, and none has been taken since
	closing bool
	ended   bool

	torn bool // the last line was written in part; for run alone
}

// Stats count the lines that a Queue has lost.
type Stats struct {
	// Dropped is how many found the queue full, Unwritten how many the writer failed to write.
	Dropped   uint64 `json:"dropped"`
	Unwritten uint64 `json:"unwritten"`
	// Error says why lines are lost now; empty where they are not.
	Error string `json:"error,omitempty"`
}

// Lost is the number of all lines that are lost.
func (s Stats) Lost() uint64 { return s.Dropped + s.Unwritten }

// NewQueue returns a queue for a writer. Close it.
func NewQueue(to io.Writer) *Queue {
	if isJournal(to, os.Getenv("JOURNAL_STREAM")) {
		to = newJournalStream(to)
	}
	q := &Queue{to: to, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go q.run()
	return q
}

// Write puts lines into the queue, and always succeeds.
func (q *Queue) Write(lines []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended || q.bytes+len(lines) > maxQueueBytes {
		q.stats.Dropped++
		q.stuck = true
		return len(lines), nil
	}
	q.bytes += len(lines)
	q.lines = append(q.lines, bytes.Clone(lines))
	q.look()
	return len(lines), nil
}

// Close writes what is left, and waits a second at most until it is taken. Nothing is to be logged
// after it.
func (q *Queue) Close() {
	q.mu.Lock()
	q.closing = true
	q.look()
	q.mu.Unlock()
	select {
	case <-q.done:
	case <-time.After(lastLinesTime):
	}
}

func (q *Queue) look() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run writes what is in the queue until that is closed and empty.
func (q *Queue) run() {
	defer close(q.done)
	for range q.wake {
		lines := q.take()
		for ; len(lines) > 0; lines = q.take() {
			for _, line := range lines {
				q.written(line, q.write(line))
			}
			q.tellLost()
		}
		if q.end() {
			return
		}
	}
}

func (q *Queue) take() (lines [][]byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines, q.lines = q.lines, nil
	return lines
}

// write writes a line, which begins a line of its own also after one that was cut off.
func (q *Queue) write(line []byte) error {
	if q.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := q.to.Write(line)
	if err == nil {
		q.torn = false
	} else if n > 0 {
		q.torn = line[n-1] != '\n'
	}
	return err
}

func (q *Queue) written(line []byte, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= len(line)
	q.stuck = false
	q.stats.Error = ""
	if err != nil {
		q.stats.Unwritten++
		q.stats.Error = err.Error()
	}
}

// Stats returns the counts as they are now. A file that has been removed takes lines that are of no
// use, which is an error too.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	stats := q.stats
	switch {
	case stats.Error != "":
	case q.stuck:
		stats.Error = fmt.Sprintf("its reader takes no lines, and %d KiB of them wait", q.bytes>>10)
	case isRemoved(q.to):
		stats.Error = "its file has been removed"
	}
	return stats
}

// tellLost puts a line into the queue that says how many are missing, once lines can be written.
func (q *Queue) tellLost() {
	q.mu.Lock()
	logger, before, now := q.logger, q.told, q.stats
	silent := logger == nil || now.Error != ""
	if !silent {
		q.told = now
	}
	q.mu.Unlock()
	if silent || now == before {
		return
	}
	if dropped := now.Dropped - before.Dropped; dropped > 0 {
		logger.Warn("log lines were dropped, as stderr did not take them in time", slog.Uint64("dropped", dropped))
	}
	if unwritten := now.Unwritten - before.Unwritten; unwritten > 0 {
		logger.Warn("log lines could not be written", slog.Uint64("unwritten", unwritten))
	}
}

// end ends the queue if it is closed and empty.
func (q *Queue) end() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = q.closing && len(q.lines) == 0
	return q.ended
}

// of has the queue tell the logger of dropped lines.
func (q *Queue) of(logger *slog.Logger) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.logger = logger
}
