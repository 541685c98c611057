package session

import (
	"log/slog"
	"time"
)

// ForProbes returns a Manager for steps that no client sent: they are judged as those of m,
// in sessions of one step that nobody counts, logs or limits, and that are forgotten at once.
func (m *Manager) ForProbes() *Manager {
	const unlimited = 1 << 30
	return NewManagerAt(m.clock, m.judge, Options{
		Steps: 1, MaxOpen: unlimited, MaxOpenPerAddress: unlimited, RememberedReplies: 1, IdleTimeout: time.Minute, ResumeWindow: time.Minute,
	}, slog.New(slog.DiscardHandler))
}
