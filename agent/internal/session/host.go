package session

import (
	"net/netip"
	"time"

	"github.com/stepagent/stepagent/agent/internal/judge"
)

// A host is the nameless seats of one address that have a session. All methods here are
// called with Manager.mu held.
type host struct {
	attached shelves // whose connection is open
	left     shelves // whose connection has closed in mid-procedure
	// waiting are the connections that look for a seat, by the step that they have sent.
	waiting map[judge.Expectation]map[*waiter]struct{}
}

// A waiter is a connection for whose first step no seat fits clearly yet. A seat that is left
// and fits goes to it before anybody else can take it up.
type waiter struct {
	conn    *Conn
	expects judge.Expectation
	arrived time.Time
	seat    *seat         // what it got
	served  chan struct{} // closed when it has got it
}

// host returns the entry of the address.
func (m *Manager) host(addr netip.Addr) *host {
	h := m.hosts[addr]
	if h == nil {
		h = &host{
			attached: shelves{}, left: shelves{},
			waiting: map[judge.Expectation]map[*waiter]struct{}{},
		}
		m.hosts[addr] = h
	}
	return h
}

// tidy forgets the entry of an address that has nothing in it.
func (m *Manager) tidy(addr netip.Addr) {
	if h := m.hosts[addr]; h != nil && len(h.attached)+len(h.left)+len(h.waiting) == 0 {
		delete(m.hosts, addr)
	}
}

// list puts a nameless seat with a session where it is found.
func (m *Manager) list(s *seat) {
	h := m.host(s.client.Addr())
	if s.owner == nil {
		if w := h.waiterFor(s); w != nil {
			h.dequeue(w)
			s.owner, s.card.left = w.conn, time.Time{}
			w.seat = s
			close(w.served)
		}
	}
	h.shelves(s).add(s)
}

// unlist takes a seat out again. Its card must be as it was when it was listed.
func (m *Manager) unlist(s *seat) {
	m.host(s.client.Addr()).shelves(s).remove(s)
}

func (h *host) shelves(s *seat) shelves {
	if s.owner != nil {
		return h.attached
	}
	return h.left
}

// attach makes the connection the owner of a seat that has been left.
func (m *Manager) attach(s *seat, c *Conn) {
	m.unlist(s)
	s.owner, s.card.left = c, time.Time{}
	m.list(s)
	m.arm(s)
}

// part puts a seat whose connection has closed where the next connection finds it.
func (m *Manager) part(s *seat) {
	m.unlist(s)
	s.owner, s.card.left = nil, time.Now()
	m.list(s)
	m.arm(s)
}

func (h *host) enqueue(w *waiter) {
	if h.waiting[w.expects] == nil {
		h.waiting[w.expects] = map[*waiter]struct{}{}
	}
	h.waiting[w.expects][w] = struct{}{}
}

func (h *host) dequeue(w *waiter) {
	same := h.waiting[w.expects]
	if delete(same, w); len(same) == 0 {
		delete(h.waiting, w.expects)
	}
}

// waiterFor returns who is to get the seat: of those whose step it expects and who came when
// the seat's client was due, the one who came nearest to that; nil when nobody did.
func (h *host) waiterFor(s *seat) *waiter {
	var nearest *waiter
	for w := range h.waiting[s.card.expects] {
		if s.isDue(w.arrived) && (nearest == nil || s.away(w.arrived) < s.away(nearest.arrived)) {
			nearest = w
		}
	}
	return nearest
}
