package session

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
)

// Restore makes the Manager store its sessions, and brings back those that the store has. Each counts as
// left by its client now, and stays open for Options.ResumeWindow at least; the limits of open sessions
// hold for new ones only. It must be called before the first connection, once at most. Nil is no store.
func (m *Manager) Restore(store sessionstore.Store) {
	if store == nil {
		return
	}
	m.storage.store, m.storage.waits = store, store.Waits()
	m.storage.shared, _ = store.(sessionstore.Shared)
	now, found := m.clock.Now(), store.Restored()
	slices.SortFunc(found, func(a, b sessionstore.Restored) int { return a.Replied.Compare(b.Replied) })
	open, retained := m.addRestored(found, now)
	if to := m.options.Load().Recorder; to != nil {
		for _, s := range open {
			to.Record(s.event(auditlog.KindResumed, now))
		}
	}
	m.log.LogAttrs(context.Background(), slog.LevelInfo, "sessions restored", slog.Int("sessions", len(open)),
		slog.Int("names_without_session", retained))
}

// Waits reports whether Conn.Stored waits for longer than a write to memory takes; see sessionstore.Store.
func (m *Manager) Waits() bool { return m.storage.waits }

// addRestored adds what was found to the tables. It returns copies of the open sessions, and how many names
// are retained.
func (m *Manager) addRestored(found []sessionstore.Restored, now time.Time) (open []session, retained int) {
	o := m.options.Load()
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range found {
		r := &found[i]
		m.unnamed.Store(max(m.unnamed.Load(), r.Unnamed))
		if r.Ended && r.Name == "" {
			m.storage.store.Forget(r.Key) // its replies are not kept
			continue
		}
		s := m.restoredSlot(r, now, o.RememberedReplies)
		if s.session.open {
			open = append(open, s.session)
		}
	}
	for m.named.bytes > o.RememberedBytes && m.removeFirst(m.named.evictable()) {
	}
	m.stats.Restored = len(open)
	return open, m.named.retained.Len()
}

// restoredSlot returns a new slot with what was found under one key, and adds it to the tables. The
// caller holds mu.
func (m *Manager) restoredSlot(r *sessionstore.Restored, now time.Time, remembered int) *slot {
	s := &slot{client: restoredClient(r.Client), session: session{id: r.Key}, left: now}
	m.slots[s] = struct{}{}
	if r.Name != "" {
		s.name = r.Key[:len(r.Name)] // one copy of the name for all that has it
		m.named.add(s)
	}
	m.adopt(s, r, s.client, now, remembered)
	return s
}

// adopt gives an empty slot of the tables what was found under its key: an open session, which the client
// began, or the end of one. The caller holds mu.
func (m *Manager) adopt(s *slot, r *sessionstore.Restored, client client, now time.Time, remembered int) {
	s.revision = r.Revision
	if s.name != "" {
		for _, reply := range r.Replies {
			reply.Session = s.name
			s.replay.add(reply, remembered)
		}
		m.named.addBytes(s, s.replay.bytes)
	}
	if r.Ended {
		s.session.replied, s.session.restored, s.used = r.Replied, now, true
		m.named.retain(s)
	} else {
		s.session = restoredSession(r, client, now)
		m.stats.Open++
		m.begun[client.addr.Addr()]++
		if identity := client.identity(); identity != "" {
			m.begunBy[identity]++
		}
	}
	m.reschedule(s)
}

// restoredSession returns the session that was stored, as it is at a time.
func restoredSession(r *sessionstore.Restored, client client, now time.Time) session {
	states := func(yield func(string, []byte) bool) {
		for _, of := range r.Memory {
			if !yield(of.Validator, bytes.Clone(of.State)) {
				return
			}
		}
	}
	s := session{
		id: r.Key, client: client, steps: r.Steps, began: r.Began, position: r.Position,
		memory: judge.CollectMemory(states), expects: judge.Expectation(r.Expects),
		replied: r.Replied, interval: r.Interval, last: r.Req,
		gap:    gapClock{from: r.GapFrom, held: r.GapHeld, to: r.GapTo},
		tally:  tally{passed: r.Passed, failed: r.Failed, undecided: r.Undecided},
		latest: r.Latest, recent: r.Recent, generations: slices.Clone(r.Generations), faulted: r.Faulted,
		open: true, restored: now,
	}
	if latest := now.Add(-r.Latest); s.began.After(latest) {
		s.began = latest // no step arrives before the last one
	}
	if r.Times != sessionstore.TimesExact || s.gap.from.Add(s.interval).Before(now) {
		// The client was due while there was no agent, or that cannot be told: the gap is not its own.
		s.gap = gapClock{}
	}
	return s
}

func restoredClient(c sessionstore.Client) client {
	return clientOf(&Peer{Addr: c.Addr, Name: c.Name, Identity: c.Identity})
}

// stored returns the client as it is stored.
func (c *client) stored() sessionstore.Client {
	of := sessionstore.Client{Addr: c.addr}
	if c.more != nil {
		of.Name, of.Identity = c.more.name, c.more.identity
	}
	return of
}

// suspend removes the slots from the tables and leaves in the store what is stored of them: their sessions
// go on when the agent is back.
func (m *Manager) suspend(slots []*slot) {
	to, now, open := m.options.Load().Recorder, m.clock.Now(), 0
	for _, s := range slots {
		s.turn.lock(context.Background())
		if s.session.open {
			open++
			if to != nil {
				to.Record(s.session.event(auditlog.KindSuspended, now))
			}
		}
		m.mu.Lock()
		if s.session.open {
			m.uncount(s)
		}
		m.drop(s)
		m.mu.Unlock()
		s.turn.unlock()
	}
	if open > 0 {
		m.log.LogAttrs(context.Background(), slog.LevelInfo, "sessions go on when the agent is back", slog.Int("sessions", open))
	}
}
