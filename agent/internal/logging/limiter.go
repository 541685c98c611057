package logging

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A Limiter keeps an event that may come at any rate from flooding the log: it lets one line
// through in each period and counts the others. It may be used by many goroutines at once.
type Limiter struct {
	every time.Duration

	mu         sync.Mutex
	last       time.Time // when a line was written; long ago at first
	suppressed int       // since then
}

// NewLimiter returns a Limiter that lets the first line through at once, and the next when
// every has passed since.
func NewLimiter(every time.Duration) *Limiter { return &Limiter{every: every} }

// Log writes the line, with the attribute suppressed when lines were held back since the
// last one, or holds it back. A line below the logger's level is neither written nor
// counted.
func (l *Limiter) Log(ctx context.Context, logger *slog.Logger, level slog.Level, message string, attrs ...slog.Attr) {
	if !logger.Enabled(ctx, level) {
		return
	}
	suppressed, ok := l.take()
	if !ok {
		return
	}
	if suppressed > 0 {
		attrs = append(attrs[:len(attrs):len(attrs)], slog.Int("suppressed", suppressed))
	}
	logger.LogAttrs(ctx, level, message, attrs...)
}

// take reports whether a line may be written, and how many were not before it.
func (l *Limiter) take() (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Sub(l.last) < l.every {
		l.suppressed++
		return 0, false
	}
	suppressed, l.suppressed, l.last = l.suppressed, 0, now
	return suppressed, true
}
