package logging

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
)

// Priorities at the beginning of a line, which the journal reads and removes; see sd-daemon(3).
const (
	priorityError   = "<3>"
	priorityWarning = "<4>"
	priorityInfo    = "<6>"
	priorityDebug   = "<7>"
)

// A prioritised handler begins each line with the priority of its level.
type prioritised struct {
	slog.Handler // writes to out
	mu           *sync.Mutex
	out          *prefixer // guarded by mu
}

func newPrioritised(w io.Writer, handlerFor func(io.Writer) slog.Handler) slog.Handler {
	out := &prefixer{w: w}
	return prioritised{handlerFor(out), &sync.Mutex{}, out}
}

// Handle sets the prefix and writes the record.
func (p prioritised) Handle(ctx context.Context, r slog.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case r.Level >= slog.LevelError:
		p.out.prefix = priorityError
	case r.Level >= slog.LevelWarn:
		p.out.prefix = priorityWarning
	case r.Level >= slog.LevelInfo:
		p.out.prefix = priorityInfo
	default:
		p.out.prefix = priorityDebug
	}
	return p.Handler.Handle(ctx, r)
}

func (p prioritised) WithAttrs(attrs []slog.Attr) slog.Handler {
	return prioritised{p.Handler.WithAttrs(attrs), p.mu, p.out}
}

func (p prioritised) WithGroup(name string) slog.Handler {
	return prioritised{p.Handler.WithGroup(name), p.mu, p.out}
}

// A prefixer begins each line with a prefix. Each call of Write must have whole lines.
type prefixer struct {
	w      io.Writer
	prefix string
}

func (p *prefixer) Write(lines []byte) (int, error) {
	var out []byte
	for line := range bytes.Lines(lines) {
		out = append(append(out, p.prefix...), line...)
	}
	if _, err := p.w.Write(out); err != nil {
		return 0, err
	}
	return len(lines), nil
}

// Complaints returns a writer for the errors that end a program: w itself or, where w is the
// systemd journal, a writer that adds the priority of errors. Each call of Write must have whole
// lines. An AsyncWriter is treated like the writer that it writes to.
func Complaints(w io.Writer) io.Writer {
	if isJournal(underlying(w), os.Getenv("JOURNAL_STREAM")) {
		return &prefixer{w, priorityError}
	}
	return w
}
