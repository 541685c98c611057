package session

import (
	"slices"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A memo is a reply that is kept for a repeated req.
type memo struct {
	req   protocol.ReqID
	reply protocol.Reply
}

// memoBytes is what a memo takes at most but for the detail: itself, a step id and a req.
const memoBytes = 256

func (m memo) bytes() int { return memoBytes + len(m.reply.Detail) }

// recall returns the reply that was given to the req.
func (s *seat) recall(req protocol.ReqID) (protocol.Reply, bool) {
	for _, m := range s.memos {
		if m.req == req {
			return m.reply, true
		}
	}
	return protocol.Reply{}, false
}

// remember keeps the reply, and forgets the oldest ones past the limit. The caller holds the
// turn.
func (s *seat) remember(req protocol.ReqID, reply protocol.Reply, limit int) {
	if s.name == "" || req.IsZero() {
		return
	}
	if drop := len(s.memos) + 1 - max(limit, 1); drop > 0 {
		s.forgetOldest(drop)
	}
	reply.Session = s.name // one copy of the name for all of them
	s.memos = append(s.memos, memo{req: req, reply: reply})
	s.kept += s.memos[len(s.memos)-1].bytes()
}

// forgetOldest forgets the n oldest replies.
func (s *seat) forgetOldest(n int) {
	for _, m := range s.memos[:n] {
		s.kept -= m.bytes()
	}
	s.memos = slices.Delete(s.memos, 0, n)
}

// keep counts what the seat has come to remember. Past the limit the names that rest longest
// are forgotten, and then the seat's own oldest replies but the last: no session that is open
// loses a reply to another. The caller holds the turn and mu.
func (m *Manager) keep(s *seat) {
	m.recount(s)
	limit := m.options.Load().RememberedBytes
	for m.stats.RememberedBytes > limit && m.resting.Len() > 0 {
		m.forget(m.resting.Front().Value.(*seat))
	}
	over, drop := m.stats.RememberedBytes-limit, 0
	for ; over > 0 && drop < len(s.memos)-1; drop++ {
		over -= s.memos[drop].bytes()
	}
	if drop > 0 {
		s.forgetOldest(drop)
		m.recount(s)
	}
}

// recount brings what the seat remembers into the sum; the caller holds the turn and mu.
func (m *Manager) recount(s *seat) {
	m.stats.RememberedBytes += s.kept - s.card.kept
	s.card.kept = s.kept
}
