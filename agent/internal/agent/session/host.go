package session

import (
	"net/netip"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
)

// A host is the nameless seats of one address that have a session. All methods here are
// called with Manager.mu held.
//
// Most steps come from clients that keep their connection, and change what their seat expects
// while nobody looks for it. So a step only puts its seat into a queue, once, and whoever looks
// for a seat first has all of the queue put in order.
type host struct {
	attached shelves // whose connection is open
	left     shelves // whose connection has closed in mid-procedure
	seats    int     // in all, on a shelf or not
	queue    []*seat // that are not where their card says, and some that are
}

// A place is where a seat stands: on the shelf of the step that it expected when it was put
// there, in the order of the times when their clients were due. The zero value is nowhere.
type place struct {
	on      shelves
	expects judge.Expectation
	due     time.Time
}

// minQueue is a queue that is not worth being looked through for seats that have gone.
const minQueue = 64

// manyMoved is how many seats are cheaper put in order by sort than one after the other.
const manyMoved = 64

// enlist has a nameless seat with a session found where its card says, from the next look on.
func (m *Manager) enlist(s *seat) {
	if s.host == nil {
		s.host = m.hostOf(s.client.Addr())
		s.host.seats++
	}
	h := s.host
	s.moved = true
	if !s.queued {
		s.queued = true
		h.queue = append(h.queue, s)
	}
	if len(h.queue) > 2*h.seats+minQueue {
		h.queue = slices.DeleteFunc(h.queue, func(s *seat) bool {
			s.queued = s.moved
			return !s.moved
		})
	}
}

func (m *Manager) hostOf(addr netip.Addr) *host {
	h := m.hosts[addr]
	if h == nil {
		h = &host{attached: shelves{}, left: shelves{}}
		m.hosts[addr] = h
	}
	return h
}

// delist takes a seat out again, if it is in.
func (m *Manager) delist(s *seat) {
	h := s.host
	if h == nil {
		return
	}
	s.unplace()
	s.host, s.moved = nil, false
	if h.seats--; h.seats == 0 {
		for _, other := range h.queue {
			other.queued = false
		}
		delete(m.hosts, s.client.Addr())
	}
}

// order puts every seat where its card says.
func (h *host) order() {
	if len(h.queue) >= manyMoved {
		h.sort()
	}
	for _, s := range h.queue {
		s.queued = false
		if s.moved {
			h.put(s)
		}
	}
	clear(h.queue) // or seats that have ended stay in memory
	h.queue = h.queue[:0]
}

// sort puts many seats where their cards say, in less time than one after the other: thousands that
// expect the same step would each be moved to make room for each.
func (h *host) sort() {
	for _, on := range []shelves{h.attached, h.left} {
		on.removeMoved()
	}
	for _, s := range h.queue {
		if s.moved {
			s.place.on = h.shelvesOf(s)
			s.place.on.append(s)
			s.moved = false
		}
	}
	for _, on := range []shelves{h.attached, h.left} {
		on.sort()
	}
}

// put puts a seat where its card says.
func (h *host) put(s *seat) {
	s.unplace()
	s.place.on = h.shelvesOf(s)
	s.place.on.add(s)
	s.moved = false
}

func (h *host) shelvesOf(s *seat) shelves {
	if s.owner != nil {
		return h.attached
	}
	return h.left
}

// unplace takes a seat off its shelf, if it is on one.
func (s *seat) unplace() {
	if s.place.on != nil {
		s.place.on.remove(s)
		s.place = place{}
	}
}

// attach makes the connection the owner of a seat that has been left.
func (m *Manager) attach(s *seat, c *Conn) {
	s.owner, s.card.left = c, time.Time{}
	s.host.put(s)
}

// part puts a seat whose connection has closed where the next connection finds it.
func (m *Manager) part(s *seat) {
	s.owner, s.card.left = nil, m.clock.Now()
	s.host.put(s)
	m.arm(s)
}
