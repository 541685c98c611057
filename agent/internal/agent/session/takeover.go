package session

import (
	"context"
	"net/netip"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
)

// firstStep begins a session where no validator says which step must.
const firstStep = 1

// firstPause is the time between the first two looks for a seat to take up. Each further one
// is twice as long, so that a step is looked for a few times and not all the time.
const firstPause = time.Millisecond

// seatNameless returns the seat of a connection that names no session: the one that an
// earlier connection from the same address has left and that fits the step, if it may resume that,
// or a new one.
func (m *Manager) seatNameless(ctx context.Context, c *Conn, stepID int64, now time.Time, mayResume bool) *seat {
	c.begun = true

	m.mu.Lock()
	defer m.mu.Unlock()
	var s *seat
	if mayResume {
		s = m.resume(ctx, c, stepID, now)
	}
	if s == nil {
		s = newSeat("", c.peer.Addr)
		s.owner = c
		m.seats[s] = struct{}{}
	}
	s.inFlight.Add(1)
	return s
}

// mayResume reports whether a step without a name may go on with a session that an earlier
// connection has left: it is the connection's first, and not that of a procedure.
func (c *Conn) mayResume(stepID int64) bool {
	if c.begun {
		return false
	}
	first := c.manager.judge.First()
	return first.Known && stepID != first.StepID || !first.Known && stepID != firstStep
}

// resume finds the seat to take up and attaches the connection to it; nil when there is none.
// Where it is not sure which one it is, waiting a moment makes it so: an earlier
// connection is seen to be closed, or other clients come and take up theirs. The caller holds
// mu, which is given up meanwhile.
func (m *Manager) resume(ctx context.Context, c *Conn, stepID int64, arrived time.Time) *seat {
	expects := judge.Expectation{StepID: stepID, Known: true}
	patience := m.options.Load().TakeoverWait
	for pause := firstPause; ; pause *= 2 {
		s, sure := m.find(c.peer.Addr.Addr(), expects, arrived)
		if sure || patience <= 0 {
			if s != nil {
				m.attach(s, c)
			}
			return s
		}
		pause = min(pause, patience)
		patience -= pause
		m.mu.Unlock()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			patience = 0
		}
		m.mu.Lock()
	}
}

// find returns the seat that the client has most likely left, and whether that is sure.
// Many clients may share the address, so the step that is expected counts first, and then
// the time at which each said it would be back. When no seat expects the step, its client
// has made a mistake, and the time alone must tell. The caller holds mu.
func (m *Manager) find(addr netip.Addr, expects judge.Expectation, at time.Time) (s *seat, sure bool) {
	h := m.hosts[addr]
	if h == nil {
		return nil, true
	}
	h.order()
	if s := h.left[expects].due(at); s != nil && s.away(at) <= earlyBy {
		return s, true
	}
	// An attached seat may be the client's, if the end of its earlier connection has not been
	// seen yet.
	m.settle(h.attached[expects], at)
	left, attached := h.left[expects], h.attached[expects]
	if s := left.due(at); s != nil {
		rival := attached.due(at)
		return s, rival == nil || s.away(at) <= rival.away(at)
	}
	if s := left.leftLast(); s != nil {
		return s, len(attached) == 0
	}
	asked := 0
	for _, due := range h.attached {
		asked += m.settle(due[:due.until(at.Add(earlyBy))], at)
		if asked >= maxAskedInAll {
			break // of which steps it is chance: the next look asks others
		}
	}
	s, several := h.left.due(at)
	if s == nil {
		s = h.left.leftLast()
	}
	rival, _ := h.attached.due(at)
	return s, !several && rival == nil && len(attached) == 0
}

// maxAsked is how many connections are asked whether they are gone, of those that expect one
// step and were due before, or are due after: the client's own is among the first.
const maxAsked = 8

// maxAskedInAll is how many are asked at one look, whatever steps they expect: each is a system
// call, and all other clients wait meanwhile.
const maxAskedInAll = 64

// settle parts the attached seats whose connection the other end has closed though nobody
// here has read that far: the end of one connection and the first bytes of the next can
// arrive together. It returns how many it looked at.
func (m *Manager) settle(attached shelf, at time.Time) int {
	nearest := attached.around(at, maxAsked)
	for _, s := range nearest {
		// A client that has given up a step which is still in flight waits for another one.
		if gone := s.owner.peer.Gone; gone != nil && s.inFlight.Load() == 0 && gone() {
			m.part(s)
		}
	}
	return len(nearest)
}
