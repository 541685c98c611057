package session

import (
	"container/list"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// A Peer is the other end of a connection.
type Peer struct {
	Addr netip.AddrPort
	// Gone reports whether the other end has closed, even if nobody has read that far yet.
	// It must not block. Nil when there is no telling.
	Gone func() bool
}

// A Conn is one connection's way to its sessions. Its methods are for one goroutine.
type Conn struct {
	manager *Manager
	peer    Peer
	own     *seat // for requests that name no session
	begun   bool  // a request that names no session has come
	// named holds the named seats that this connection owns. Guarded by Manager.mu.
	named list.List
}

// An Answer is what a request gets.
type Answer struct {
	Reply protocol.Reply
	// Fault is misbehaviour to carry out instead of simply sending the reply; nil for none.
	Fault *validator.Fault
	// Replayed says that the request had been judged before, and this is the reply it got.
	Replayed bool
	// Trace says how the answer came about.
	Trace Trace
}

// A Trace says how an answer came about, for the record.
type Trace struct {
	// Session names the session as the log does; Position is how many of its steps had been
	// judged with this one.
	Session  string
	Position int
	// Kept says that no validator was asked, so that Try would have answered as well.
	Kept bool
	// Turn is how long the request waited for its turn in the session, since its arrival.
	Turn time.Duration
	// Generation and Groups are those of the judgement; zero when there was none.
	Generation uint64
	Groups     []judge.GroupTime
}

// Connect returns the sessions' side of a new connection.
func (m *Manager) Connect(peer Peer) *Conn {
	c := new(Conn)
	c.Connect(m, peer)
	return c
}

// Connect makes the zero Conn, wherever the caller keeps it, the sessions' side of a new connection.
func (c *Conn) Connect(m *Manager, peer Peer) {
	peer.Addr = netip.AddrPortFrom(peer.Addr.Addr().Unmap(), peer.Addr.Port())
	c.manager, c.peer = m, peer
}

// Do has one step judged in its session and returns the answer. When the context ends
// first, the step has not been judged and the answer says that the agent shuts down.
func (c *Conn) Do(ctx context.Context, req protocol.Request, arrived time.Time) Answer {
	for {
		s := c.seat(ctx, &req, arrived, c.mayResume(req.StepID))
		if !s.turn.take(ctx) {
			s.release()
			return c.refuse(&req, protocol.ShuttingDown, "the agent stops")
		}
		turn := c.manager.clock.Now().Sub(arrived)
		answer, ok := c.at(ctx, s, &req, arrived)
		if ok {
			answer.Trace.Turn = max(turn, 0)
			return answer
		}
	}
}

// Try is Do for a request that need not wait for anything: neither for its turn, nor for an
// earlier connection to close, nor for a validator. False says that nothing has been done: use Do.
func (c *Conn) Try(req protocol.Request, arrived time.Time) (answer Answer, ok bool) {
	if req.Session == "" && c.mayResume(req.StepID) { // which may have to wait
		return Answer{}, false
	}
	ctx := context.Background() // which nothing here waits for
	s := c.seat(ctx, &req, arrived, false)
	if !s.turn.try() {
		s.release()
		return Answer{}, false
	}
	defer c.exit(s)
	answer, next := c.enter(ctx, s, &req, arrived)
	if next != toJudge {
		return answer, next == answered
	}
	j, ok := c.manager.judge.Try(s.session.state(), s.session.step(&req, arrived))
	if !ok {
		return Answer{}, false
	}
	return c.settle(ctx, s, &req, arrived, arrived, &j), true // no time has passed
}

// leaveAtOnce is how many seats are left without letting other connections go on meanwhile.
const leaveAtOnce = 256

// Close tells the sessions that the connection has closed.
func (c *Conn) Close() {
	m := c.manager
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.own != nil {
		m.leave(c.own, c)
		c.own = nil
	}
	for n := 1; c.named.Len() > 0; n++ {
		m.leave(c.named.Front().Value.(*seat), c)
		if n%leaveAtOnce == 0 {
			m.mu.Unlock()
			m.mu.Lock()
		}
	}
}

// seat returns the seat in which the request is to be judged. Where it may resume a session that an
// earlier connection has left, this may have to wait.
func (c *Conn) seat(ctx context.Context, req *protocol.Request, arrived time.Time, mayResume bool) *seat {
	m := c.manager
	if req.Session != "" {
		return m.seatNamed(c, req.Session)
	}
	if c.own == nil || !c.own.occupy() {
		c.own = m.seatNameless(ctx, c, req.StepID, arrived, mayResume)
	}
	return c.own
}

// occupy notes that a step of the nameless seat is in flight; false when the seat is gone.
func (s *seat) occupy() bool {
	s.inFlight.Add(1)
	if s.dead.Load() {
		s.release()
		return false
	}
	return true
}

// release notes that a step which was in flight in the seat is no longer.
func (s *seat) release() {
	if s.name == "" {
		s.inFlight.Add(-1)
	}
}

// at judges the request in a seat whose turn it has and gives the turn back. It returns
// false when the seat is gone and another is to be looked for.
func (c *Conn) at(ctx context.Context, s *seat, req *protocol.Request, arrived time.Time) (Answer, bool) {
	defer c.exit(s) // after a panic too
	answer, next := c.enter(ctx, s, req, arrived)
	if next != toJudge {
		return answer, next == answered
	}
	now := s.session
	j := c.manager.judge.Judge(ctx, now.state(), now.step(req, arrived))
	return c.settle(ctx, s, req, arrived, c.manager.clock.Now(), &j), true
}

// next is what is to be done with a request that has its turn.
type next uint8

const (
	toJudge  next = iota
	answered      // it has its answer
	gone          // the seat is, look for another
)

// enter answers a request that has been judged, or finds it a session. The caller has the seat's
// turn, and calls exit in the end.
func (c *Conn) enter(ctx context.Context, s *seat, req *protocol.Request, arrived time.Time) (Answer, next) {
	m := c.manager
	if reply, ok := s.recall(req.Req); ok {
		m.count(func(n *Stats) { n.Replayed++ })
		if s.session != nil {
			s.session.repeat(req.Req, m.clock.Now())
		}
		return Answer{Reply: reply, Replayed: true, Trace: Trace{Session: s.name, Kept: true}}, answered
	}
	if s.session != nil {
		return Answer{}, toJudge
	}
	switch o := m.options.Load(); m.open(s, c.peer.Addr, arrived) {
	case tooLate:
		return Answer{}, gone
	case tooMany:
		return c.crowded(ctx, req, "", o.MaxOpen), answered
	case tooManyHere:
		return c.crowded(ctx, req, " from this address", o.MaxOpenPerAddress), answered
	default:
		return Answer{}, toJudge
	}
}

// exit gives the turn back.
func (c *Conn) exit(s *seat) {
	defer s.turn.pass()
	defer s.release()
	if now := s.session; now != nil && now.position == 0 {
		c.manager.abandon(s)
	}
}

// settle stores a judgement, made at the time judged, in the seat's session and makes the answer.
// The caller has the seat's turn.
func (c *Conn) settle(ctx context.Context, s *seat, req *protocol.Request, arrived, judged time.Time, j *judge.Judgement) Answer {
	m, now := c.manager, s.session
	if j.Outcome == validator.Undecided {
		now.tally.undecided++
		m.count(func(n *Stats) { n.Undecided++ })
		if ctx.Err() != nil {
			return c.refuse(req, protocol.ShuttingDown, "the agent stops")
		}
		c.logStep(now, req, j, protocol.ValidatorUnavailable)
		answer := c.refuse(req, protocol.ValidatorUnavailable, j.Detail)
		answer.Trace = Trace{Session: now.id, Position: now.position, Generation: j.Generation, Groups: j.Groups}
		return answer
	}
	now.commit(j, req, arrived, judged)
	trace := Trace{Session: now.id, Position: now.position, Kept: j.Kept, Generation: j.Generation, Groups: j.Groups}
	reply := c.reply(req, protocol.Reason(j.Reason), j.Detail)
	reply.End = now.over()
	s.remember(req.Req, reply, m.options.Load().RememberedReplies)
	c.logStep(now, req, j, protocol.Reason(j.Reason))
	m.judged(s, j.Outcome)
	return Answer{Reply: reply, Fault: j.Fault, Trace: trace}
}

func (m *Manager) count(add func(*Stats)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	add(&m.stats)
}

// crowded refuses the first step of a session past a limit of sessions, those of whom.
func (c *Conn) crowded(ctx context.Context, req *protocol.Request, whose string, limit int) Answer {
	m := c.manager
	m.crowded.Log(ctx, m.log, slog.LevelWarn, "too many sessions"+whose,
		slog.String("client", c.peer.Addr.String()), slog.Int("limit", limit))
	return c.refuse(req, protocol.Busy, fmt.Sprintf(
		"the agent has %d sessions open%s, which is its limit; try again later", limit, whose))
}

// refuse answers without a verdict: the step has taken no position.
func (c *Conn) refuse(req *protocol.Request, reason protocol.Reason, detail string) Answer {
	return Answer{Reply: c.reply(req, reason, detail), Trace: Trace{Session: req.Session}}
}

func (c *Conn) reply(req *protocol.Request, reason protocol.Reason, detail string) protocol.Reply {
	id := req.StepID
	return protocol.Reply{
		StepID: &id, ErrorCode: c.manager.options.Load().Codes.Of(reason),
		Req: req.Req, Session: req.Session, Reason: reason, Detail: detail,
	}
}

// logStep writes a line for a step that did not pass, and at debug level for one that did. Its
// position is the step's own place in the procedure, counted from 1: the session's position
// once the step is judged, whether it is or not.
func (c *Conn) logStep(s *session, req *protocol.Request, j *judge.Judgement, reason protocol.Reason) {
	level, message, position := slog.LevelWarn, "step failed", s.position
	switch j.Outcome {
	case validator.Pass:
		level, message = slog.LevelDebug, "step passed"
	case validator.Undecided:
		level, message, position = slog.LevelError, "step undecided", s.position+1
	}
	if !c.manager.log.Enabled(context.Background(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("session", s.id), slog.Int64("step_id", req.StepID),
		slog.Int("position", position), slog.String("client", c.peer.Addr.String()),
	}
	if reason != "" {
		attrs = append(attrs, slog.String("reason", string(reason)),
			slog.String("validator", j.By), slog.String("detail", j.Detail))
	}
	if j.Fault != nil {
		attrs = append(attrs, slog.String("fault", j.Fault.Kind.String()))
	}
	if j.Outcome == validator.Pass {
		c.manager.log.LogAttrs(context.Background(), level, message, attrs...)
		return
	}
	c.manager.badSteps.Log(context.Background(), c.manager.log, level, message, attrs...)
}
