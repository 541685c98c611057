package logging

import (
	"bytes"
	"io"
	"log/slog"
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
type Queue struct {
	to   io.Writer
	wake chan struct{} // holds one token when there is something to see
	done chan struct{}

	mu      sync.Mutex
	logger  *slog.Logger // of New; nil before
	lines   [][]byte
	bytes   int // of the lines, and of those that are being written
	dropped int // lines of which nothing has been said
	closing bool
	ended   bool
}

// NewQueue returns a queue for a writer. Close it.
func NewQueue(to io.Writer) *Queue {
	q := &Queue{to: to, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go q.run()
	return q
}

// Write puts lines into the queue, and always succeeds.
func (q *Queue) Write(lines []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended || q.bytes+len(lines) > maxQueueBytes {
		q.dropped++
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
				_, _ = q.to.Write(line) // there is nowhere to say that it failed
				q.written(line)
			}
			q.tellDropped()
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

func (q *Queue) written(line []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= len(line)
}

// tellDropped puts a line into the queue that says how many are missing.
func (q *Queue) tellDropped() {
	q.mu.Lock()
	logger, dropped := q.logger, q.dropped
	q.dropped = 0
	q.mu.Unlock()
	if dropped > 0 && logger != nil {
		logger.Warn("log lines were dropped, as nobody took them in time", slog.Int("dropped", dropped))
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
