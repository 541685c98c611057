package natsstore

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
)

// A known is what this store knows of a key: the newest sequence that servers have acknowledged or shown.
type known struct {
	sequence uint64
	at       time.Time // when it was
	mine     bool      // this store has stored it
}

// vanishTime is how long after its acknowledgement a record cannot have been removed by age.
const vanishTime = time.Minute

// stored notes that this store has stored a revision. The caller holds mu.
func (s *Store) stored(key string, sequence uint64) {
	s.keys[key] = known{sequence, time.Now(), true}
}

// lost notes that another agent has stored the last revision of a key. The caller holds mu.
func (s *Store) lost(key string) {
	if k, ok := s.keys[key]; ok {
		k.mine = false
		s.keys[key] = k
	}
}

// isBehind reports whether a read of a key has returned less than servers have acknowledged before: its
// server does not have all yet, or the servers have lost data. Nil is nothing.
func (s *Store) isBehind(key string, m *message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.keys[key]
	switch {
	case !ok:
		return false
	case m == nil:
		return time.Since(k.at) < vanishTime
	default:
		return m.Sequence < k.sequence
	}
}

// last reads the last message of a key; nil for none. The error wraps ErrAway.
func (s *Store) last(ctx context.Context, key string) (*message, error) {
	most := s.bounds().away
	for a := (attempts{began: time.Now()}); ; {
		m, err := s.read(ctx, getRequest{Last: s.subject(key)})
		if err != nil || !s.isBehind(key, m) {
			return m, err
		}
		if s.again(ctx, &a, most, nil) != nil {
			s.losses.Log(ctx, s.opts.Log, slog.LevelError, "NATS has lost records of sessions that it had acknowledged; "+
				"set sync_interval of its servers to always", slog.String("session", key))
			return nil, fmt.Errorf("%w: NATS has lost steps of it that were acknowledged; begin the procedure anew under another name",
				sessionstore.ErrAway)
		}
	}
}

// loaded notes which agent has stored the last revision of a key.
func (s *Store) loaded(key string, last *decoded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[key] = known{last.sequence, time.Now(), last.writer == s.writer}
}
