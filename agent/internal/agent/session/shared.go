package session

import (
	"context"
	"errors"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
)

// Several agents may write one store. An agent reads a name before the first step of it that it judges, and
// drops the name when the commit of a step says that another agent has gone on with the session. It then
// reads it anew: either the step is among the replies, or it is judged again where the session is now.

// causeMoved is why a session is not this agent's any more.
const causeMoved = "went on at another agent"

// maxMoves is how often a session may go on at another agent while one step is judged.
const maxMoves = 32

// needsLoad reports whether the slot must be read from the store before a step is judged in it.
func (m *Manager) needsLoad(s *slot) bool {
	return m.storage.shared != nil && s.name != "" && !s.loaded
}

// load reads what agents have stored of the slot's name. It waits for the store. The caller holds the turn.
func (m *Manager) load(ctx context.Context, s *slot) error {
	found, revision, ok, err := m.storage.shared.Load(ctx, s.session.id)
	if err != nil {
		return err
	}
	o, now := m.options.Load(), m.clock.Now()
	m.mu.Lock()
	if !s.removed.Load() {
		s.loaded, s.revision = true, revision
		if ok {
			m.adopt(s, &found, restoredClient(found.Client), now, o.RememberedReplies)
		}
	}
	if s.session.open {
		m.stats.MovedIn++
		m.change(s)
	}
	m.mu.Unlock()
	if s.session.open {
		if o.Recorder != nil {
			o.Recorder.Record(s.session.event(auditlog.KindResumed, now))
		}
		if isAbandoned(&found, o, now) {
			m.cutShort(s, causeIdle)
		}
	}
	return nil
}

// isAbandoned reports whether a session that was found should have been ended by the agent that had it: that
// was gone, and the client too.
func isAbandoned(r *sessionstore.Restored, o *Options, now time.Time) bool {
	deadline := r.Replied.Add(r.Interval + o.IdleTimeout + o.ResumeWindow)
	return r.Times != sessionstore.TimesUnknown && deadline.Before(now)
}

// forgive makes the gap before a step unknown which comes late over a connection that is new to the slot: the
// client may have tried it in time at another agent, which could not store it. The caller holds the turn.
func (m *Manager) forgive(s *slot, arrived time.Time) {
	if m.storage.shared != nil && s.arriving.Swap(false) && s.session.due().Before(arrived) {
		s.session.gap = gapClock{}
	}
}

// disown removes a slot whose session has gone on at another agent, and leaves the store alone: what the store
// knows of the name is needed when it is read again. The caller holds the turn.
func (m *Manager) disown(s *slot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.move(s)
	m.drop(s)
}

// move leaves a slot without its session, which has gone on at another agent. The caller holds the turn and mu.
func (m *Manager) move(s *slot) {
	if s.session.open {
		m.changeEnded(s, causeMoved)
		m.uncount(s)
		m.stats.MovedOut++
		s.session = session{id: s.session.id, replied: m.clock.Now()}
	}
	s.revision, s.inDoubt = 0, false
}

// isMoved reports whether the error of a commit says that another agent has gone on with the session.
func (st *storage) isMoved(err error) bool {
	return st.shared != nil && errors.Is(err, sessionstore.ErrConflict)
}
