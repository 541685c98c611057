package logging

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A Limiter limits the rate of one kind of log line: it writes some lines in each period and counts
// the others. It is safe for concurrent use.
type Limiter struct {
	every time.Duration
	most  int

	mu         sync.Mutex
	began      time.Time // of the period: the time of its first line
	written    int       // lines of the period
	suppressed int       // lines since the last written one
}

// NewLimiter returns a Limiter that writes one line in each period.
func NewLimiter(every time.Duration) *Limiter { return NewBurstLimiter(every, 1) }

// NewBurstLimiter returns a Limiter that writes up to most lines in each period.
func NewBurstLimiter(every time.Duration, most int) *Limiter {
	return &Limiter{every: every, most: most}
}

// Log writes the line, or suppresses it. The attribute suppressed counts the lines that were
// suppressed since the last written one. A line below the logger's level is neither written nor
// counted.
func (l *Limiter) Log(ctx context.Context, logger *slog.Logger, level slog.Level, message string, attrs ...slog.Attr) {
	if !logger.Enabled(ctx, level) {
		return
	}
	suppressed, ok := l.allow()
	if !ok {
		return
	}
	if suppressed > 0 {
		attrs = append(attrs[:len(attrs):len(attrs)], slog.Int("suppressed", suppressed))
	}
	logger.LogAttrs(ctx, level, message, attrs...)
}

// allow reports whether a line may be written, and how many were suppressed before it.
func (l *Limiter) allow() (suppressed int, ok bool) {
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
