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
		s.drop(drop)
	}
	reply.Session = s.name // one copy of the name for all of them
	s.memos = append(s.memos, memo{req: req, reply: reply})
	s.kept += s.memos[len(s.memos)-1].bytes()
}

// drop forgets the n oldest replies.
func (s *seat) drop(n int) {
	for _, m := range s.memos[:n] {
		s.kept -= m.bytes()
	}
	s.memos = slices.Delete(s.memos, 0, n)
}

// keep counts what the seat has come to remember. Past the limit the names that rest longest
// are forgotten, first those of an address that takes more than all others, and then the seat's own oldest replies but the last: no session that is open
// loses a reply to another. The caller holds the turn and mu.
func (m *Manager) keep(s *seat) {
	if s.name == "" {
		return
	}
	m.recount(s, s.kept)
	limit := m.options.Load().RememberedBytes
	for m.stats.RememberedBytes > limit && m.forgetResting() {
	}
	over, drop := m.stats.RememberedBytes-limit, 0
	for ; over > 0 && drop < len(s.memos)-1; drop++ {
		over -= s.memos[drop].bytes()
	}
	if drop > 0 {
		s.drop(drop)
		m.recount(s, s.kept)
	}
}

// recount sets how many bytes the seat remembers, in the sums too; the caller holds mu.
func (m *Manager) recount(s *seat, kept int) {
	if more := kept - s.card.kept; more != 0 {
		m.stats.RememberedBytes += more
		s.card.kept = kept
		of := m.shares[s.client.Addr()]
		of.kept += more
		if of.takesMost(m.stats.RememberedBytes) {
			m.most = of
		}
	}
}

// takesMost reports whether more than half of all that is remembered is the address's. That is one
// address at most.
func (of *share) takesMost(all int) bool { return of.kept > all/2 }

// forgetResting forgets the name that rests longest: of the address that takes more than half of all
// that is remembered, or else of all. False when none rests. The caller holds mu.
func (m *Manager) forgetResting() bool {
	if m.most != nil && m.most.takesMost(m.stats.RememberedBytes) && m.forgetOldest(&m.most.resting) {
		return true
	}
	return m.forgetOldest(m.resting)
}
