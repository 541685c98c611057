package session

import (
	"net/netip"
	"time"
)

// A host is the nameless seats of one address that have a session. All methods here are
// called with Manager.mu held.
type host struct {
	attached shelves // whose connection is open
	left     shelves // whose connection has closed in mid-procedure
}

// list puts a nameless seat with a session where it is found.
func (m *Manager) list(s *seat) {
	addr := s.client.Addr()
	h := m.hosts[addr]
	if h == nil {
		h = &host{attached: shelves{}, left: shelves{}}
		m.hosts[addr] = h
	}
	h.shelves(s).add(s)
}

// unlist takes a seat out again. Its card must be as it was when it was listed.
func (m *Manager) unlist(s *seat) {
	m.hosts[s.client.Addr()].shelves(s).remove(s)
}

func (h *host) shelves(s *seat) shelves {
	if s.owner != nil {
		return h.attached
	}
	return h.left
}

// tidy forgets an address that has no seats.
func (m *Manager) tidy(addr netip.Addr) {
	if h := m.hosts[addr]; h != nil && len(h.attached)+len(h.left) == 0 {
		delete(m.hosts, addr)
	}
}

// attach makes the connection the owner of a seat that has been left.
func (m *Manager) attach(s *seat, c *Conn) {
	m.unlist(s)
	s.owner, s.card.left = c, time.Time{}
	m.list(s)
}

// part puts a seat whose connection has closed where the next connection finds it.
func (m *Manager) part(s *seat) {
	m.unlist(s)
	s.owner, s.card.left = nil, m.clock.Now()
	m.list(s)
	m.arm(s)
}
