package session

import (
	"context"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
)

const (
	// firstStep begins a session where no validator says which step must.
	firstStep = 1
	// firstPause is the time between the first two lookups of a slot to resume; each later
	// pause is twice as long.
	firstPause = time.Millisecond
)

// namelessSlot returns the slot of a connection that names no session: the one that an earlier
// connection of its origin has left and that fits the step, if it may resume one, or a new one.
func (m *Manager) namelessSlot(ctx context.Context, c *Conn, stepID int64, now time.Time, mayResume bool) *slot {
	c.begun = true

	m.mu.Lock()
	defer m.mu.Unlock()
	var s *slot
	if mayResume {
		s = m.resume(ctx, c, stepID, now)
	}
	if s == nil {
		s = &slot{client: c.client, owner: c}
		m.slots[s] = struct{}{}
	}
	s.inFlight.Add(1)
	return s
}

// mayResume reports whether a step without a session name may continue a session that an earlier
// connection has left: it is the first of its connection, and not that of a procedure.
func (c *Conn) mayResume(stepID int64) bool {
	if c.begun {
		return false
	}
	first := c.manager.judge.First()
	return first.Known && stepID != first.StepID || !first.Known && stepID != firstStep
}

// resume finds the slot to resume and attaches the connection to it; nil when there is none. While
// the choice is uncertain it retries, up to TakeoverWait: an earlier connection may be seen to
// close, or other clients may resume theirs. The caller holds mu, which is released meanwhile.
func (m *Manager) resume(ctx context.Context, c *Conn, stepID int64, arrived time.Time) *slot {
	expects := judge.Expectation{StepID: stepID, Known: true}
	patience := m.options.Load().TakeoverWait
	for pause := firstPause; ; pause *= 2 {
		s, certain := m.find(c.client.origin(), expects, arrived)
		if certain || patience <= 0 {
			if s != nil {
				s.attach(c)
				s.index.move(s)
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

// find returns the slot that the client has most likely left, and whether that is certain. Clients
// may share the address, so the expected step counts first, and then the time at which each is
// due. Where no slot expects the step, the client has made a mistake and the time alone decides.
// The caller holds mu.
func (m *Manager) find(origin clientKey, expects judge.Expectation, at time.Time) (s *slot, certain bool) {
	a := m.nameless[origin]
	if a == nil {
		return nil, true
	}
	a.flush()
	if s := a.detached[expects].nearestDue(at); s != nil && s.distance(at) <= earlyBy {
		return s, true
	}
	// An attached slot may be the client's, if the end of its earlier connection has not been
	// seen yet.
	m.detachClosed(a.attached[expects], at)
	detached, attached := a.detached[expects], a.attached[expects]
	if s := detached.nearestDue(at); s != nil {
		rival := attached.nearestDue(at)
		return s, rival == nil || s.distance(at) <= rival.distance(at)
	}
	if s := detached.leftLast(); s != nil {
		return s, len(attached) == 0
	}
	checked := 0
	for _, due := range a.attached {
		checked += m.detachClosed(due[:due.countUntil(at.Add(earlyBy))], at)
		if checked >= maxCheckedInAll {
			break // the next lookup, in another order of the map, checks others
		}
	}
	s, several := a.detached.nearestDue(at)
	if s == nil {
		s = a.detached.leftLast()
	}
	rival, _ := a.attached.nearestDue(at)
	return s, !several && rival == nil && len(attached) == 0
}

const (
	// maxChecked is how many connections are checked for their end, of those that expect one
	// step and were due before, and of those due after: the client's own is among the first.
	maxChecked = 8
	// maxCheckedInAll bounds the checks of one lookup: each is a system call under mu.
	maxCheckedInAll = 64
)

// detachClosed detaches the slots whose connection the other end has closed, though its server has
// not read that far: the end of one connection and the first bytes of the next can arrive
// together. It returns how many connections it checked. The caller holds mu.
func (m *Manager) detachClosed(attached dueList, at time.Time) int {
	nearest := attached.around(at, maxChecked)
	for _, s := range nearest {
		// A client that has given up a step in flight waits for another one.
		if gone := s.owner.gone; gone != nil && s.inFlight.Load() == 0 && gone() {
			m.detach(s)
		}
	}
	return len(nearest)
}

// detach leaves a slot for the client's next connection, or removes it where it holds neither a
// session nor replies. The caller holds mu.
func (m *Manager) detach(s *slot) {
	s.detach()
	s.left = m.clock.Now()
	switch {
	case s.session.open:
		if s.name == "" {
			s.index.move(s)
		}
		m.arm(s)
	case !s.isRetained():
		m.remove(s)
	}
}
