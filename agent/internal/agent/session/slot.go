package session

import (
	"container/list"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
)

// A slot holds the sessions of one client, one after another: those of a session name, or those of
// a connection that names none.
type slot struct {
	name   string // the session name; empty for a nameless slot
	client client // the first to use the slot
	turn   turn   // held while a step is judged here

	// Written with turn and Manager.mu held, read with either; but session's fields for the judge
	// and the log need turn alone.
	session session
	replay  replayCache // of a named slot

	// Of what is stored under the session's id; see storage. They are written with turn held while a
	// session is open, and with Manager.mu while none is.
	revision sessionstore.Revision // 0 for nothing
	inDoubt  bool                  // the last record may be stored or not
	loaded   bool                  // from a shared store, since the slot was made; guarded by turn

	// Guarded by Manager.mu.
	timer Timer
	fires time.Time // when timer fires; zero while it is not set
	owner *Conn     // the connection that used the slot last; nil once that has closed
	left  time.Time // when the last connection closed; zero while there is one

	// Guarded by Manager.mu.
	changed bool // in Manager.changes
	seen    bool // the open session was in a view

	// Of a named slot, guarded by Manager.mu.
	owned    *list.Element // in owner.named
	share    *share        // what counts it
	retained *list.Element // in namedSlots.retained
	shared   *list.Element // in share.retained

	// Of a nameless slot with a session, guarded by Manager.mu; see addrIndex.
	index  *addrIndex
	key    indexKey
	stale  bool // key is not what session says
	queued bool // in index.changed

	used     bool         // a session has ended here; guarded by turn
	judging  atomic.Bool  // a validator has the session's next step
	arriving atomic.Bool  // the owner is another connection than before, and has not sent a step yet
	removed  atomic.Bool  // not in the Manager's tables any more; set with mu held
	inFlight atomic.Int32 // steps of a nameless slot, which are about to change its session
}

// attach makes c the owner. The caller holds Manager.mu.
func (s *slot) attach(c *Conn) {
	if s.owner == c {
		return
	}
	s.detach()
	s.owner, s.left = c, time.Time{}
	s.arriving.Store(true)
	if s.name != "" {
		s.owned = c.named.PushBack(s)
	}
}

// detach leaves the slot without an owner. The caller holds Manager.mu.
func (s *slot) detach() {
	if s.owned != nil {
		s.owner.named.Remove(s.owned)
	}
	s.owner, s.owned = nil, nil
}

// isOfAddress reports whether the named slot belongs to an address.
func (s *slot) isOfAddress() bool {
	return len(s.session.id) > len(s.name) && s.client.identity() == ""
}

// user returns the client that began the open session, or else the first to use the slot. The caller
// holds Manager.mu.
func (s *slot) user() *client {
	if s.session.open {
		return &s.session.client
	}
	return &s.client
}

// isRetained reports whether the slot has no session and is kept for the replies of its last one.
// The caller holds Manager.mu.
func (s *slot) isRetained() bool { return s.retained != nil }

// addInFlight counts a step in flight; false when the nameless slot has been removed.
func (s *slot) addInFlight() bool {
	s.inFlight.Add(1)
	if s.removed.Load() {
		s.doneInFlight()
		return false
	}
	return true
}

func (s *slot) doneInFlight() {
	if s.name == "" {
		s.inFlight.Add(-1)
	}
}

// deadline is when, without a further step, the session is closed or a retained slot removed: after a
// restart of the agent, not before its client had the time to come back. The caller holds Manager.mu.
func (s *slot) deadline(o *Options) time.Time {
	deadline := s.ownDeadline(o)
	if !s.session.restored.IsZero() {
		if back := s.session.restored.Add(o.ResumeWindow); deadline.Before(back) {
			return back
		}
	}
	return deadline
}

// ownDeadline is deadline for a session that was never restored.
func (s *slot) ownDeadline(o *Options) time.Time {
	due := s.session.due()
	deadline := due.Add(o.IdleTimeout)
	if !s.session.open || s.left.IsZero() {
		return deadline
	}
	if latest := s.left.Add(o.LongestInterval); latest.Before(due) {
		due = latest
	}
	if due.Before(s.left) {
		due = s.left
	}
	if resume := due.Add(o.ResumeWindow); resume.Before(deadline) {
		return resume
	}
	return deadline
}

// isDue reports whether the client's next step is expected at that time or before.
func (s *slot) isDue(at time.Time) bool { return !s.session.due().After(at.Add(earlyBy)) }

// distance is the time between at and when the client's next step is expected.
func (s *slot) distance(at time.Time) time.Duration { return s.session.due().Sub(at).Abs() }
