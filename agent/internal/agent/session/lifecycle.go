package session

import (
	"context"
	"strconv"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// Why a session is closed before its last step.
const (
	causeIdle     = "no step for too long"
	causeNotBack  = "the client did not come back"
	causeStopping = "the agent stops"
	causeOperator = "ended by an operator"
	causeUnjudged = "its first step was not judged"
)

// A sessionLimit is a limit of open sessions: how many, and in words of which kind.
type sessionLimit struct {
	most  int
	scope string
}

// begin begins a session in a slot whose turn the caller holds. Otherwise it returns the limit that is
// reached, or says that the slot is removed and the request needs another one.
func (m *Manager) begin(s *slot, client *client, now time.Time) (reached *sessionLimit, removed bool) {
	o, first := m.options.Load(), m.judge.First()
	addr, identity := client.addr.Addr(), client.identity()
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case s.removed.Load():
		return nil, true
	case m.stats.Open >= o.MaxOpen:
		reached = &sessionLimit{o.MaxOpen, ""}
	case m.begun[addr] >= o.MaxOpenPerAddress:
		reached = &sessionLimit{o.MaxOpenPerAddress, " from this address"}
	case identity != "" && client.more.maxSessions > 0 && m.begunBy[identity] >= client.more.maxSessions:
		reached = &sessionLimit{client.more.maxSessions, " of this identity"}
	}
	if reached != nil {
		if !s.used {
			m.remove(s)
		}
		return reached, false
	}
	m.stats.Open++
	m.begun[addr]++
	if identity != "" {
		m.begunBy[identity]++
	}
	m.named.unretain(s)
	id := s.session.id // of a named slot, or of a session that was rolled back
	if id == "" {
		id = m.newID(s)
	}
	s.session = session{id: id, client: *client, steps: o.Steps, began: now, replied: now, expects: first, open: true}
	m.reschedule(s)
	return nil, false
}

// newID returns the id of a nameless session: the client and a number, since another connection may
// have the same port while this session is still open. The caller holds mu.
func (m *Manager) newID(s *slot) string {
	id := s.client.appendTo(make([]byte, 0, 64))
	return string(strconv.AppendUint(append(id, '#'), m.unnamed.Add(1), 10))
}

// idOf returns the id of a client's sessions of a name; empty for no name.
func (m *Manager) idOf(c *client, name string) string {
	byAddress := m.options.Load().OwnerAddress
	if name == "" || c.identity() == "" && !byAddress {
		return name
	}
	return string(c.appendID(nil, name, byAddress))
}

// rollback undoes begin where no step of the session has been committed. The caller holds the turn.
func (m *Manager) rollback(s *slot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.seen {
		m.changeEnded(s, causeUnjudged)
	}
	m.clear(s, s.session.id)
}

// apply puts a judgement and its reply in force, and ends the session with its last step; then it
// returns that session, for logEnd. The step has been judged from then on, whether or not the reply
// arrives. The caller holds the turn.
func (m *Manager) apply(s *slot, j *judge.Judgement, req *protocol.Request, arrived, judged time.Time, reply *protocol.Reply) *session {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.session.add(j, req, arrived, judged)
	if j.Outcome == validator.Pass {
		m.stats.Passed++
	} else {
		m.stats.Failed++
		m.stats.ByReason[protocol.Reason(j.Reason)]++
	}
	if s.name != "" {
		m.cacheReply(s, reply)
	}
	if reply.End {
		m.stats.Completed++
		return m.end(s, "")
	}
	m.reschedule(s)
	m.change(s)
	return nil
}

// cacheReply adds a reply to the slot's replay cache. Past the limit of bytes it evicts retained
// slots, and then the slot's own oldest replies: no open session loses a reply to another. The
// caller holds the turn and mu.
func (m *Manager) cacheReply(s *slot, reply *protocol.Reply) {
	o, before := m.options.Load(), s.replay.bytes
	if !reply.Req.IsZero() {
		cached := *reply
		cached.Session = s.name // one copy of the name for all replies
		s.replay.add(cached, o.RememberedReplies)
	}
	m.named.addBytes(s, s.replay.bytes-before)
	for m.named.bytes > o.RememberedBytes && m.removeFirst(m.named.evictable()) {
	}
	before = s.replay.bytes
	s.replay.shrink(m.named.bytes - o.RememberedBytes)
	m.named.addBytes(s, s.replay.bytes-before)
}

// end closes the session and returns it. Cause is why it ends before its last step. The caller holds
// the turn and mu, and calls logEnd.
func (m *Manager) end(s *slot, cause string) *session {
	m.changeEnded(s, cause)
	ended, next := s.session, ""
	if s.name != "" {
		next = ended.id
	}
	s.used = true
	m.clear(s, next)
	return &ended
}

// clear leaves the slot without a session, and removes it where nothing needs it: neither a
// repeated request nor its connection. The caller holds the turn and mu.
func (m *Manager) clear(s *slot, nextID string) {
	if s.name == "" || s.revision == 0 {
		m.storage.forget(s)
	}
	m.uncount(s)
	s.session = session{id: nextID, replied: m.clock.Now()}
	if s.name != "" && s.used {
		m.named.retain(s)
	}
	m.reschedule(s)
	if !s.isRetained() && (s.name != "" || s.owner == nil) {
		m.remove(s)
	}
}

// uncount takes the slot's session off the counts of open ones. The caller holds mu.
func (m *Manager) uncount(s *slot) {
	m.stats.Open--
	decrement(m.begun, s.session.client.addr.Addr())
	if identity := s.session.client.identity(); identity != "" {
		decrement(m.begunBy, identity)
	}
}

// decrement takes one off a count, and removes a count of 0.
func decrement[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}

// reschedule updates the slot's index and timer after a change of its session. The caller holds the
// turn and mu.
func (m *Manager) reschedule(s *slot) {
	switch {
	case s.name != "":
	case s.session.open:
		m.nameless.update(s)
	default:
		m.nameless.remove(s)
	}
	m.arm(s)
}

// arm makes the slot's timer fire at its deadline or before, when expire sets it again: a step,
// which puts the deadline off, does not touch the timer. The caller holds mu.
func (m *Manager) arm(s *slot) {
	deadline := s.deadline(m.options.Load())
	in := func() time.Duration { return deadline.Sub(m.clock.Now()) }
	switch {
	case !s.session.open && !s.isRetained(): // kept for its connection
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

// expire closes a session that has been idle for too long, or removes a retained slot.
func (m *Manager) expire(s *slot) {
	s.turn.lock(context.Background())
	defer s.turn.unlock()
	if cause := m.expired(s); cause != "" {
		m.cutShort(s, cause)
	}
}

// expired returns why the slot's session, which has been idle for too long, is closed; empty for one that
// stays open. The caller holds the turn.
func (m *Manager) expired(s *slot) (cause string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.fires = time.Time{}
	switch {
	case s.removed.Load():
	case m.clock.Now().Before(s.deadline(m.options.Load())):
		m.arm(s) // the deadline was put off after the timer was set
	case s.session.open && s.left.IsZero():
		return causeIdle
	case s.session.open:
		return causeNotBack
	case s.isRetained():
		m.remove(s)
	}
	return ""
}

// cutShort ends the slot's session before its last step, in the store first; false when the session has gone
// on at another agent. The caller holds the turn.
func (m *Manager) cutShort(s *slot, cause string) bool {
	moved := m.storage.store != nil && m.storeEnd(s)
	m.mu.Lock()
	if moved {
		m.move(s)
		m.remove(s)
		m.mu.Unlock()
		return false
	}
	m.stats.Incomplete++
	ended := m.end(s, cause)
	m.mu.Unlock()
	m.logEnd(ended, cause)
	return true
}

// evict ends the session of a slot and removes the slot. It returns whether there was a session.
func (m *Manager) evict(s *slot, cause string) bool {
	s.turn.lock(context.Background())
	defer s.turn.unlock()
	ended := s.session.open && m.cutShort(s, cause)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(s)
	return ended
}

// logEnd logs and records the end of a session; nil is none. Cause is why it ended before its last
// step, empty if it did not.
func (m *Manager) logEnd(ended *session, cause string) {
	if ended == nil {
		return
	}
	now := m.clock.Now()
	ended.logEnd(m.ends, m.log, now, cause)
	if to := m.options.Load().Recorder; to != nil {
		ended.recordEnd(to, now, cause)
	}
}
