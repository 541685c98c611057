package logging

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
)

// Priorities at the beginning of a line, which the journal reads and removes; see sd-daemon(3).
const (
	priorityError   = "<3>"
	priorityWarning = "<4>"
	priorityInfo    = "<6>"
	priorityDebug   = "<7>"
)

// A prioritised handler begins each line with the priority of its level.
type prioritised struct{ failure, warning, info, debug slog.Handler }

func newPrioritised(w io.Writer, at func(io.Writer) slog.Handler) slog.Handler {
	return prioritised{
		failure: at(prefixer{w, priorityError}), warning: at(prefixer{w, priorityWarning}),
		info: at(prefixer{w, priorityInfo}), debug: at(prefixer{w, priorityDebug}),
	}
}

func (p prioritised) of(level slog.Level) slog.Handler {
	switch {
	case level >= slog.LevelError:
		return p.failure
	case level >= slog.LevelWarn:
		return p.warning
	case level >= slog.LevelInfo:
		return p.info
	default:
		return p.debug
	}
}

func (p prioritised) Enabled(ctx context.Context, level slog.Level) bool {
	return p.of(level).Enabled(ctx, level)
}

func (p prioritised) Handle(ctx context.Context, r slog.Record) error {
	return p.of(r.Level).Handle(ctx, r)
}

func (p prioritised) WithAttrs(attrs []slog.Attr) slog.Handler {
	return p.each(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

func (p prioritised) WithGroup(name string) slog.Handler {
	return p.each(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (p prioritised) each(f func(slog.Handler) slog.Handler) slog.Handler {
	return prioritised{f(p.failure), f(p.warning), f(p.info), f(p.debug)}
}

// A prefixer begins each line with a prefix. Each call of Write must have whole lines.
type prefixer struct {
	w      io.Writer
	prefix string
}

func (p prefixer) Write(lines []byte) (int, error) {
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
		return prefixer{w, priorityError}
	}
	return w
}
