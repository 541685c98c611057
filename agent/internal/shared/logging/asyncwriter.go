package logging

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/asyncwriter"
)

const (
	// maxQueueBytes bounds the lines that wait in an AsyncWriter, in bytes.
	maxQueueBytes = 1 << 20
	// closeTimeout is how long Close waits until the last lines are written.
	closeTimeout = time.Second
)

// An AsyncWriter writes the lines of one logger in the background, so that logging never waits for
// a pipe that is not read, a journal that is stopped or a halted terminal. Lines that find its
// queue full, and lines that cannot be written, are counted, and a later line says how many were
// lost. A process that is killed loses the lines in the queue.
type AsyncWriter struct {
	to    io.Writer
	lines *asyncwriter.Writer[[]byte]

	mu        sync.Mutex   // guards the rest
	logger    *slog.Logger // reports lost lines; nil until New has made one
	unwritten uint64
	failure   error // of the last write
}

// Stats count the lines that an AsyncWriter has lost.
type Stats struct {
	// Dropped is how many found the queue full, Unwritten how many the writer failed to write.
	Dropped   uint64 `json:"dropped"`
	Unwritten uint64 `json:"unwritten"`
	// Error says why lines are lost now; empty when none are.
	Error string `json:"error,omitempty"`
}

// Lost returns the number of all lost lines.
func (s Stats) Lost() uint64 { return s.Dropped + s.Unwritten }

// NewAsyncWriter returns an AsyncWriter to w. Where w is the stream to the systemd journal, it
// reconnects after the journal was stopped. The caller must Close it.
func NewAsyncWriter(w io.Writer) *AsyncWriter {
	if isJournal(w, os.Getenv("JOURNAL_STREAM")) {
		w = newJournalStream(w)
	}
	a := &AsyncWriter{to: w, lines: asyncwriter.New(maxQueueBytes, func(line []byte) int { return len(line) })}
	go a.lines.Run(&lineSink{out: a})
	return a
}

// Write queues whole lines. It never waits, and always succeeds.
func (a *AsyncWriter) Write(lines []byte) (int, error) {
	a.lines.Write(bytes.Clone(lines))
	return len(lines), nil
}

// Close waits up to a second until the queued lines are written. Lines that are logged afterwards
// are lost.
func (a *AsyncWriter) Close() { a.lines.Close(closeTimeout) }

// Stats returns the present counts. Lines written to a deleted file count as errors too, because they
// cannot be read.
func (a *AsyncWriter) Stats() Stats {
	queue := a.lines.Stats()
	a.mu.Lock()
	defer a.mu.Unlock()
	stats := Stats{Dropped: queue.Dropped, Unwritten: a.unwritten}
	switch {
	case a.failure != nil:
		stats.Error = a.failure.Error()
	case queue.Stalled:
		stats.Error = fmt.Sprintf("its reader takes no lines, and %d KiB of them wait", queue.Queued>>10)
	case isRemoved(a.to):
		stats.Error = "its file has been removed"
	}
	return stats
}

// reportTo has lost lines reported to the logger.
func (a *AsyncWriter) reportTo(logger *slog.Logger) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.logger = logger
}

// A lineSink writes the lines of an AsyncWriter.
type lineSink struct {
	out      *AsyncWriter
	reported Stats // the counts that were logged
	torn     bool  // the last line was written in part
}

// Write writes a line, at the start of a line even after a torn one.
func (s *lineSink) Write(line []byte) {
	if s.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := s.out.to.Write(line)
	if err == nil {
		s.torn = false
	} else if n > 0 {
		s.torn = line[n-1] != '\n'
	}
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.out.failure = err
	if err != nil {
		s.out.unwritten++
	}
}

// Flush logs how many lines were lost since the last report, once lines can be written.
func (s *lineSink) Flush() time.Duration {
	now := Stats{Dropped: s.out.lines.Stats().Dropped}
	s.out.mu.Lock()
	now.Unwritten = s.out.unwritten
	logger, failed := s.out.logger, s.out.failure != nil
	s.out.mu.Unlock()
	if logger == nil || failed {
		return 0
	}
	before := s.reported
	s.reported = now
	if dropped := now.Dropped - before.Dropped; dropped > 0 {
		logger.Warn("log lines were dropped, as stderr did not take them in time", slog.Uint64("dropped", dropped))
	}
	if unwritten := now.Unwritten - before.Unwritten; unwritten > 0 {
		logger.Warn("log lines could not be written", slog.Uint64("unwritten", unwritten))
	}
	return 0
}

// Close does nothing: the underlying writer stays open.
func (s *lineSink) Close() {}
