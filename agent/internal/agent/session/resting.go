package session

import (
	"container/list"
	"time"
)

// A share is what the named seats that one address was first to use take of the tables. An address
// that has reached its share loses its own oldest replies before another address loses any.
type share struct {
	seats   int
	kept    int       // bytes of remembered replies
	resting list.List // of *seat
}

// resting is where a named seat without a session stands in the two lists of such seats, each in
// the order in which their sessions ended. The zero value is nowhere.
type resting struct {
	all *list.Element // in Manager.resting
	own *list.Element // in its address's share
}

// isResting reports whether the named seat has no session and keeps the replies of an earlier one;
// the caller holds mu.
func (s *seat) isResting() bool { return s.rest.all != nil }

// toRest puts a named seat whose session has ended among those without one; the caller holds mu.
func (m *Manager) toRest(s *seat) {
	s.rest = resting{all: m.resting.PushBack(s), own: m.shares[s.client.Addr()].resting.PushBack(s)}
}

// unrest takes a named seat out of those without a session; the caller holds mu.
func (m *Manager) unrest(s *seat) {
	if s.isResting() {
		m.resting.Remove(s.rest.all)
		m.shares[s.client.Addr()].resting.Remove(s.rest.own)
		s.rest = resting{}
	}
}

// addNamed puts a new named seat into the tables; the caller holds mu.
func (m *Manager) addNamed(s *seat) {
	o, addr := m.options.Load(), s.client.Addr()
	of := m.shares[addr]
	if of == nil {
		of = &share{}
		m.shares[addr] = of
	}
	of.seats++ // before others are removed, or the share might be
	for of.seats > o.MaxOpenPerAddress && m.forgetOldest(&of.resting) {
	}
	for len(m.named) >= o.MaxOpen && m.forgetOldest(m.resting) {
	}
	m.named[s.name] = s
	m.seats[s] = struct{}{}
}

// removeNamed is the opposite of addNamed; the caller holds mu.
func (m *Manager) removeNamed(s *seat) {
	m.unrest(s)
	m.disown(s)
	delete(m.named, s.name)
	addr := s.client.Addr()
	if of := m.shares[addr]; of.seats == 1 {
		delete(m.shares, addr)
	} else {
		of.seats--
	}
}

// forgetOldest forgets the first seat of a list; false when there is none. The caller holds mu.
func (m *Manager) forgetOldest(resting *list.List) bool {
	oldest := resting.Front()
	if oldest == nil {
		return false
	}
	m.forget(oldest.Value.(*seat))
	return true
}

// own makes the connection, which uses the named seat, its owner not an earlier one; the
// caller holds mu.
func (m *Manager) own(s *seat, c *Conn) {
	if s.owner == c {
		return
	}
	m.disown(s)
	s.owner, s.owned = c, c.named.PushBack(s)
	s.card.left = time.Time{}
}

// disown leaves a named seat without an owner; the caller holds mu.
func (m *Manager) disown(s *seat) {
	if s.owner != nil {
		s.owner.named.Remove(s.owned)
		s.owner, s.owned = nil, nil
	}
}
