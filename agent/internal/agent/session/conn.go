package session

import (
	"container/list"
	"context"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// A Conn is the session side of one connection. Its methods are for one goroutine at a time.
type Conn struct {
	manager *Manager
	client  client
	gone    func() bool // Peer.Gone
	own     *slot       // for requests that name no session
	begun   bool        // a request that names no session has come
	named   list.List   // of the named slots that this connection owns; guarded by Manager.mu

	uncommitted *uncommitted // between Try and Stored; nil else
}

// An Answer is the result of a request.
type Answer struct {
	Reply protocol.Reply
	// Fault is what to do to the reply instead of simply sending it; nil for none.
	Fault *validator.Fault
	// Replayed says that the reply comes from the replay cache.
	Replayed bool
	// Unknown says that the step may count or not, because its session may be stored or not. The reply
	// must not be sent: with the connection closed, the client knows as much.
	Unknown bool
	Trace   Trace
}

// A Trace says how an answer came about, for the record.
type Trace struct {
	// Session is the session's id in the log; Position is how many of its steps had been judged,
	// this one included.
	Session  string
	Position int
	// Turn is how long the request waited for the turn of its slot.
	Turn time.Duration
	// Generation and Groups are those of the judgement; zero when there was none.
	Generation uint64
	Groups     []judge.GroupTime
}

// Connect returns the session side of a new connection.
func (m *Manager) Connect(peer Peer) *Conn {
	c := new(Conn)
	c.Connect(m, peer)
	return c
}

// Connect initializes a zero Conn, for callers that embed one in their own connection.
func (c *Conn) Connect(m *Manager, peer Peer) {
	c.manager, c.client, c.gone = m, clientOf(&peer), peer.Gone
}

// Do has one step judged in its session and returns the answer. When the context ends first, the
// step has not been judged and the answer says that the agent shuts down.
func (c *Conn) Do(ctx context.Context, req protocol.Request, arrived time.Time) Answer {
	if !c.client.mayUse(req.Session) {
		return c.refuseName(ctx, &req)
	}
	for range maxMoves {
		s := c.slot(ctx, &req, arrived, c.mayResume(req.StepID))
		if !s.turn.lock(ctx) {
			s.doneInFlight()
			return c.Refuse(&req, protocol.ShuttingDown, causeStopping)
		}
		turn := c.manager.clock.Now().Sub(arrived)
		answer, ok := c.judge(ctx, s, &req, arrived)
		if ok {
			answer.Trace.Turn = max(turn, 0)
			return answer
		}
	}
	return c.Refuse(&req, protocol.Busy, "the session goes on at several agents at once; send the step again later")
}

// Progress is how far Try has come.
type Progress uint8

const (
	// MustWait says that nothing has been done, and that Do must be called.
	MustWait Progress = iota
	// Answered says that the answer is complete.
	Answered
	// Judged says that the step is judged and its session is being stored. Stored must be called before
	// any other method of the Conn.
	Judged
)

// Try is Do for a request that need not wait: neither for its turn, nor for an earlier connection
// to close, nor for a validator.
func (c *Conn) Try(req protocol.Request, arrived time.Time) (Answer, Progress) {
	m := c.manager
	if m.fresh || req.Session == "" && c.mayResume(req.StepID) { // each may have to wait
		return Answer{}, MustWait
	}
	ctx := context.Background() // nothing here waits for it
	if !c.client.mayUse(req.Session) {
		return c.refuseName(ctx, &req), Answered
	}
	s := c.slot(ctx, &req, arrived, false)
	if !s.turn.tryLock() {
		s.doneInFlight()
		return Answer{}, MustWait
	}
	defer func() {
		if c.uncommitted == nil { // after a panic too
			c.release(s)
		}
	}()
	answer, next := c.prepare(ctx, s, &req, arrived, false)
	switch next {
	case answered:
		return answer, Answered
	case mustJudge:
	default:
		return Answer{}, MustWait
	}
	j, ok := m.judge.Try(s.session.state(), s.session.step(&req, arrived))
	switch {
	case !ok:
		return Answer{}, MustWait
	case m.storage.store != nil && j.Outcome != validator.Undecided:
		return c.commitLater(s, &req, arrived, &j)
	default:
		answer, _ := c.complete(ctx, s, &req, arrived, arrived, &j) // no time has passed
		return answer, Answered
	}
}

// detachBatch is how many slots are detached before other connections get a turn at Manager.mu.
const detachBatch = 256

// Close detaches the connection, which has closed, from its sessions.
func (c *Conn) Close() {
	m := c.manager
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := c.own; s != nil && s.owner == c {
		m.detach(s)
	}
	c.own = nil
	for n := 1; c.named.Len() > 0; n++ {
		m.detach(c.named.Front().Value.(*slot))
		if n%detachBatch == 0 {
			m.mu.Unlock()
			m.mu.Lock()
		}
	}
}

// slot returns the slot in which the request is judged. Where it may resume a session that an
// earlier connection has left, this may have to wait.
func (c *Conn) slot(ctx context.Context, req *protocol.Request, arrived time.Time, mayResume bool) *slot {
	if req.Session != "" {
		return c.manager.namedSlot(c, req.Session)
	}
	if c.own == nil || !c.own.addInFlight() {
		c.own = c.manager.namelessSlot(ctx, c, req.StepID, arrived, mayResume)
	}
	return c.own
}

// judge answers the request in a slot whose turn it holds, and releases the turn. It returns false
// when the slot has been removed and the request needs another, as when its session has moved.
func (c *Conn) judge(ctx context.Context, s *slot, req *protocol.Request, arrived time.Time) (Answer, bool) {
	defer c.release(s) // after a panic too
	answer, next := c.prepare(ctx, s, req, arrived, true)
	if next != mustJudge {
		return answer, next == answered
	}
	step := s.session.step(req, arrived)
	step.Fresh = c.manager.fresh
	c.showJudging(s, true) // the wait may be long
	j := func() judge.Judgement {
		defer c.showJudging(s, false) // after a panic too
		return c.manager.judge.Judge(ctx, s.session.state(), step)
	}()
	return c.complete(ctx, s, req, arrived, c.manager.clock.Now(), &j)
}

// showJudging tells observers whether the slot's session waits for a validator. It locks nothing while
// there are none.
func (c *Conn) showJudging(s *slot, judging bool) {
	s.judging.Store(judging)
	if c.manager.observed.Load() {
		c.manager.count(func(*Stats) { c.manager.change(s) })
	}
}

// next is what remains to be done for a request after prepare.
type next uint8

const (
	mustJudge next = iota
	answered
	needsSlot // its slot has been removed
	needsWait // for the store
)

// prepare answers a repeated request from the replay cache, or makes sure that the slot has a
// session. It waits for the store only if it may. The caller holds the turn and calls release afterwards.
func (c *Conn) prepare(ctx context.Context, s *slot, req *protocol.Request, arrived time.Time, wait bool) (Answer, next) {
	m := c.manager
	if m.needsLoad(s) {
		if !wait {
			return Answer{}, needsWait
		}
		if err := m.load(ctx, s); err != nil {
			return c.refuseUnread(ctx, req, err), answered
		}
		if s.removed.Load() {
			return Answer{}, needsSlot
		}
	}
	m.forgive(s, arrived)
	if s.name != "" && !req.Req.IsZero() {
		if reply, ok := s.replay.get(req.Req); ok {
			again := s.session.open && s.session.last == req.Req
			if again && m.storage.waits && !wait {
				return Answer{}, needsWait
			}
			if again {
				// A client that asks again is done with its last step only now.
				s.session.gap = gapClock{from: m.clock.Now()}
				if m.storage.store != nil && m.storage.commitAgain(ctx, s) {
					m.disown(s)
					return Answer{}, needsSlot
				}
				s.session.gap.from = m.clock.Now() // the wait for the store is not the client's
			}
			m.count(func(n *Stats) { n.Replayed++ })
			return Answer{Reply: reply, Replayed: true, Trace: Trace{Session: s.session.id}}, answered
		}
	}
	if s.session.open {
		return Answer{}, mustJudge
	}
	reached, removed := m.begin(s, &c.client, arrived)
	switch {
	case removed:
		return Answer{}, needsSlot
	case reached != nil:
		return c.refuseSession(ctx, req, reached), answered
	default:
		return Answer{}, mustJudge
	}
}

// release unlocks the turn. A session without a committed step is rolled back first.
func (c *Conn) release(s *slot) {
	defer s.turn.unlock()
	defer s.doneInFlight()
	if s.session.open && s.session.position == 0 {
		c.manager.rollback(s)
	}
}
