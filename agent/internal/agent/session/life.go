package session

import (
	"context"
	"net/netip"
	"strconv"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
)

// Why a session is closed before its last step.
const (
	idle     = "no step for too long"
	notBack  = "the client did not come back"
	stopping = "the agent stops"
)

// opening is what came of the wish to begin a session.
type opening uint8

const (
	opened      opening = iota
	tooMany             // the limit of open sessions is reached
	tooManyHere         // that of the sessions that one address has begun is
	tooLate             // the seat is gone; look for it again
)

// open begins a session in a seat whose turn the caller holds.
func (m *Manager) open(s *seat, client netip.AddrPort, now time.Time) opening {
	o, first := m.options.Load(), m.judge.First()
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.dead.Load() {
		return tooLate
	}
	full := opened
	switch {
	case m.stats.Open >= o.MaxOpen:
		full = tooMany
	case m.begun[client.Addr()] >= o.MaxOpenPerAddress:
		full = tooManyHere
	}
	if full != opened {
		if s.rounds == 0 {
			m.forget(s)
		}
		return full
	}
	m.stats.Open++
	m.begun[client.Addr()]++
	m.unrest(s)
	s.rounds++
	if s.label == "" {
		s.label = m.label(s)
	}
	s.current = begin(s.label, client, o.Steps, first, now)
	s.session = &s.current
	m.publish(s)
	return opened
}

// label names the session that begins in a seat. Without a name of the client's it is the
// address and a number of its own: another connection soon has the same port, and this session
// may still be open then. The caller holds mu.
func (m *Manager) label(s *seat) string {
	if s.name != "" {
		return s.name
	}
	m.unnamed++
	label := s.client.AppendTo(make([]byte, 0, 64))
	return string(strconv.AppendUint(append(label, '#'), m.unnamed, 10))
}

// abandon takes back open where no step of the session has been judged: there is no session
// without a step. The caller holds the turn.
func (m *Manager) abandon(s *seat) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.rounds--
	m.vacate(s)
}

// judged shows what a step has changed, and ends the session that has had its last one. The
// caller holds the turn.
func (m *Manager) judged(s *seat, outcome validator.Outcome) {
	m.mu.Lock()
	if outcome == validator.Pass {
		m.stats.Passed++
	} else {
		m.stats.Failed++
	}
	m.keep(s)
	var ended *session
	if s.session.over() {
		ended = m.end(s, "")
	} else {
		m.publish(s)
	}
	m.mu.Unlock()
	m.logEnd(ended, "")
}

// end closes the session; incomplete is why, empty when its last step has been judged. The
// caller holds the turn and mu, and sees to the log.
func (m *Manager) end(s *seat, incomplete string) *session {
	if incomplete == "" {
		m.stats.Completed++
	} else {
		m.stats.Incomplete++
	}
	ended := s.current
	m.vacate(s)
	s.label = ""
	return &ended
}

// logEnd writes the one line that a session gets, unless too many end; nil gets none.
func (m *Manager) logEnd(ended *session, incomplete string) {
	if ended == nil {
		return
	}
	now := m.clock.Now()
	ended.logEnd(m.ends, m.log, now, incomplete)
	if to := m.options.Load().Recorder; to != nil {
		ended.recordEnd(to, now, incomplete)
	}
}

// vacate leaves a seat without a session; the caller holds the turn and mu.
func (m *Manager) vacate(s *seat) {
	m.stats.Open--
	from := s.session.client.Addr()
	if m.begun[from]--; m.begun[from] == 0 {
		delete(m.begun, from)
	}
	s.session, s.current = nil, session{}
	if s.name != "" && s.rounds > 0 {
		// The replies stay for a while: the client may not have got the last one.
		m.toRest(s)
	}
	m.publish(s)
	if !s.isResting() && (s.name != "" || s.owner == nil) {
		m.forget(s)
	}
}

// publish brings the seat's card and its timer up to date; the caller holds the turn and mu.
func (m *Manager) publish(s *seat) {
	if now := s.session; now != nil {
		s.card.open, s.card.expects, s.card.due = true, now.expects, now.due()
	} else {
		s.card.open, s.card.due = false, m.clock.Now()
	}
	switch {
	case s.name == "" && s.card.open:
		m.enlist(s)
	case s.name == "":
		m.delist(s)
	}
	m.arm(s)
}

// arm sees to it that the seat's timer goes off at its deadline or before, when expire sets it
// again: a step, which puts the deadline off, does not touch it. The caller holds mu.
func (m *Manager) arm(s *seat) {
	deadline := s.deadline(m.options.Load())
	in := func() time.Duration { return deadline.Sub(m.clock.Now()) }
	switch {
	case !s.card.open && !s.isResting(): // it stays as long as its connection
		if s.timer != nil {
			s.timer.Stop()
			s.fires = time.Time{}
		}
	case s.timer == nil:
		s.timer, s.fires = m.clock.AfterFunc(in(), func() { m.expire(s) }), deadline
	case s.fires.IsZero() || deadline.Before(s.fires):
		s.timer.Reset(in())
		s.fires = deadline
	}
}

// expire closes the session that has been idle for too long, or forgets the named seat.
func (m *Manager) expire(s *seat) {
	s.turn.take(context.Background())
	defer s.turn.pass()
	m.mu.Lock()
	s.fires = time.Time{}
	var ended *session
	why := idle
	if !s.card.left.IsZero() {
		why = notBack
	}
	switch {
	case s.dead.Load():
	case m.clock.Now().Before(s.deadline(m.options.Load())):
		m.arm(s) // its time has been put off since the timer was set
	case s.session != nil:
		ended = m.end(s, why)
	case s.isResting():
		m.forget(s)
	}
	m.mu.Unlock()
	m.logEnd(ended, why)
}
