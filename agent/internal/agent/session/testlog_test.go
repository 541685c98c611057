package session_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// lines is a slog.Handler that keeps what is logged.
type lines struct {
	mu   sync.Mutex
	kept []line
}

type line struct {
	level slog.Level
	at    time.Time
	text  string // message and attributes
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *lines) WithGroup(string) slog.Handler            { return l }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += " " + a.String()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, line{r.Level, r.Time, text})
	return nil
}

// ends returns the lines of sessions that have ended.
func (l *lines) ends() []line {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ends []line
	for _, line := range l.kept {
		if strings.HasPrefix(line.text, "session ended") {
			ends = append(ends, line)
		}
	}
	return ends
}
