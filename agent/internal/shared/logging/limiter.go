package logging

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A Limiter keeps an event that may come at any rate from flooding the log: it lets some lines
// through in each period and counts the others. It may be used by many goroutines at once.
type Limiter struct {
	every time.Duration
	most  int

	mu         sync.Mutex
	began      time.Time // the period, with its first line
	written    int       // in it
	suppressed int       // since a line was written
}

// NewLimiter returns a Limiter that lets the first line through at once, and the next when
// every has passed since.
func NewLimiter(every time.Duration) *Limiter { return NewBurstLimiter(every, 1) }

// NewBurstLimiter returns a Limiter that lets up to most lines through in each period of
// length every.
func NewBurstLimiter(every time.Duration, most int) *Limiter {
	return &Limiter{every: every, most: most}
}

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
	if now := time.Now(); l.began.IsZero() || now.Sub(l.began) >= l.every {
		l.began, l.written = now, 0
	}
	if l.written >= l.most {
		l.suppressed++
		return 0, false
	}
	l.written++
	suppressed, l.suppressed = l.suppressed, 0
	return suppressed, true
}
