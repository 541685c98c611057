package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A conn is one connection. Either a goroutine of its own reads, judges and replies, or the
// connection is parked in an event loop, see park.go. Other goroutines only write replies that
// a fault has held back, and close it.
type conn struct {
	server   *Server
	steps    context.Context // of the steps that are judged
	probing  bool            // nobody's connection, see door
	addr     netip.AddrPort
	sessions session.Conn

	// These are the goroutine's.
	reader *protocol.Reader
	unread []byte // came before the reader was made
	wary   bool   // parks only when the client is quiet, or has been calm for calmSteps
	calm   int    // steps in a row that a loop could have answered
	stays  bool   // never parks

	mu         sync.Mutex
	nc         stream // nil while it is parked
	phase      phase
	quiet      time.Duration // the interval that the client declared last
	quietSince time.Time
	reads      deadline
	closed     bool
	held       map[*time.Timer]*account // replies that a fault holds back
	letting    int                      // such replies that are being sent
	berth

	writing sync.Mutex
	writes  deadline
	out     []byte
}

// A stream is what a connection's goroutine reads and writes; a net.Conn is one.
type stream interface {
	io.ReadWriteCloser
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// A phase is what a connection is at.
type phase uint8

const (
	busy    phase = iota // its goroutine has a message judged, or replies
	idle                 // its goroutine waits for the first byte of a message
	reading              // its goroutine waits for the rest of one
	parked               // a loop waits for a message
	looping              // it is parked, and the loop answers a message
)

// drainTime is how long the rest of a message may take to arrive once the agent is stopping,
// and the client to close when it has its last reply.
const drainTime = 200 * time.Millisecond

func newConn(s *Server, nc stream, addr netip.AddrPort) *conn {
	c := &conn{server: s, steps: s.steps, nc: nc, addr: addr, berth: berth{fd: -1}}
	if p, ok := nc.(probe); ok {
		c.steps, c.probing = p.judging, true
	}
	return c
}

// serve handles messages until the connection ends or is parked.
func (c *conn) serve() {
	s := c.server
	sessions := s.sessions
	if c.probing {
		sessions = s.probes
	}
	c.stays = c.probing || s.loops == nil
	c.sessions.Connect(sessions, session.Peer{Addr: c.addr, Gone: c.peerGone})
	c.goOn(nil)
}

// goOn does something first, if there is something, and then handles messages until the
// connection ends or is parked.
func (c *conn) goOn(first func() bool) {
	ours := true // once it is parked, it may have another goroutine already
	defer func() {
		if p := recover(); p != nil {
			c.failed(p, debug.Stack())
		}
		if ours {
			c.end()
		}
	}()
	c.reader = protocol.NewReader(c, c.server.options.Load().MessageBytes)
	if first != nil && !first() {
		return
	}
	for {
		switch c.awaitMessage() {
		case arriving:
			if !c.handleMessage() {
				return
			}
		case ending:
			return
		case leaving:
			ours = false
			return
		}
	}
}

// end ends the connection.
func (c *conn) end() {
	c.sessions.Close()
	c.cut()
	c.server.dismiss(c)
}

// failed tells of a defect that one connection met, which must not end the others.
func (c *conn) failed(p any, stack []byte) {
	c.logPanic(p, stack)
	c.countRefused()
	c.turnAway(protocol.Internal, "the agent failed on this message")
}

func (c *conn) logPanic(p any, stack []byte) {
	c.server.log.Error("panic while serving a connection", slog.String("client", c.addr.String()),
		slog.Any("panic", p), slog.String("stack", string(stack)))
}

// awaited is what came of waiting for a message.
type awaited uint8

const (
	arriving awaited = iota // its first byte is there
	ending                  // none will come
	leaving                 // a loop waits for it
)

// awaitMessage waits for the first byte of a message.
func (c *conn) awaitMessage() awaited {
	switch {
	case c.server.draining.Load():
		c.refuseRest()
		return ending
	case c.reader.Buffered():
		// A client that sends ahead gets its turns among the others: one message at a time.
		runtime.Gosched()
		return arriving
	case (!c.wary || c.calm >= calmSteps) && c.park():
		return leaving
	case !c.enter(idle, c.server.options.Load().IdleTimeout+c.quiet, 0):
		c.refuseRest()
		return ending
	}
	for {
		err := c.reader.Wait()
		switch {
		case err == nil:
			return arriving
		case !errors.Is(err, errQuiet):
			c.refuseUnread(err)
			return ending
		case c.park():
			return leaving
		}
	}
}

// enter says what the goroutine will be at and how long it may read for that: within limit,
// or within draining once the agent is stopping; false when that is 0 and it is.
func (c *conn) enter(p phase, limit, draining time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server.draining.Load() {
		if draining == 0 {
			return false
		}
		limit = min(limit, draining)
	}
	c.phase = p
	now := time.Now()
	look := now.Add(limit)
	if p == idle && !c.stays {
		c.quietSince, look = now, now.Add(calmAfter)
	}
	c.reads.put(now.Add(limit), look, c.nc.SetReadDeadline)
	return true
}

func (c *conn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase = busy
}

// drain has an idle connection close, and one that has begun a message finish it soon; one
// that is busy sees to it after its reply.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.phase {
	case idle:
		_ = c.nc.SetReadDeadline(time.Now())
	case reading:
		_ = c.nc.SetReadDeadline(time.Now().Add(drainTime))
	case parked:
		c.unpark(nil, nil)
	case busy, looping:
	}
}

// handleMessage reads one message and answers it; false ends the connection.
func (c *conn) handleMessage() bool {
	o := c.server.options.Load()
	c.reader.SetMax(o.MessageBytes)
	c.enter(reading, o.MessageTime, drainTime) // for the whole message, whatever trickles in
	message, err := c.reader.Next()
	c.leave()
	if err != nil {
		return c.refuseUnread(err)
	}
	arrived := time.Now()
	req, err := protocol.DecodeRequest(message)
	if err != nil {
		return c.refuseUnread(err)
	}
	if c.heldBack() >= o.PipelinedMessages {
		c.note(c.server.notes.ahead, "too many replies outstanding", slog.Int("limit", o.PipelinedMessages))
		refused := session.Answer{Trace: session.Trace{Session: req.Session},
			Reply: refusal(req, o, "too many replies of this connection are outstanding; wait for them")}
		noted := c.account(o, &req, &refused, arrived)
		c.countRefused()
		sent := c.send(refused.Reply)
		noted.settle(sent)
		return sent
	}
	return c.judge(req, arrived)
}

// judge has a request judged, which may take a while, and answers it; false ends the connection.
func (c *conn) judge(req protocol.Request, arrived time.Time) bool {
	c.quiet = min(req.Interval.Duration, session.MaxQuiet)
	answer := c.sessions.Do(c.steps, req, arrived)
	if c.calm++; !answer.Trace.Kept {
		c.calm = 0
	}
	noted := c.finish(&answer, &req, arrived)
	if answer.Fault != nil && !c.probing {
		return c.misbehave(answer, req, arrived, noted)
	}
	sent := c.send(answer.Reply)
	noted.settle(sent)
	return sent
}

// finish completes an answer, counts it and opens its account.
func (c *conn) finish(answer *session.Answer, req *protocol.Request, arrived time.Time) *account {
	o := c.server.options.Load()
	if req.Client != "" {
		answer.Reply.Agent = o.Agent
	}
	c.countUnjudged(answer)
	return c.account(o, req, answer, arrived)
}

func refusal(req protocol.Request, o *Options, detail string) protocol.Reply {
	id := req.StepID
	return protocol.Reply{StepID: &id, ErrorCode: o.Codes.Of(protocol.Busy), Req: req.Req,
		Session: req.Session, Reason: protocol.Busy, Detail: detail}
}

// refuseUnread answers what could not be read as a request; false ends the connection.
func (c *conn) refuseUnread(err error) bool {
	s, o := c.server, c.server.options.Load()
	var bad *protocol.Error
	switch {
	case errors.As(err, &bad) && bad.Reason == protocol.BadRequest:
		c.note(s.notes.bad, "bad request", slog.String("detail", bad.Detail))
		c.countRefused()
		return c.send(bad.Reply(o.Codes.Of(bad.Reason)))
	case errors.As(err, &bad):
		c.note(s.notes.bad, "bad message", slog.String("detail", bad.Detail))
		c.countRefused()
		c.turnAway(bad.Reason, bad.Detail)
	case errors.Is(err, io.EOF):
	case s.draining.Load():
		c.linger(drainTime)
	case errors.Is(err, os.ErrDeadlineExceeded) && c.reader.Buffered():
		detail := "the message was not complete within " + o.MessageTime.String()
		c.note(s.notes.slow, "slow message", slog.String("detail", detail))
		c.countRefused()
		c.turnAway(protocol.BadMessage, detail)
	case errors.Is(err, os.ErrDeadlineExceeded):
		// Nobody's mistake: a client that has finished may stay for a while.
		s.notes.idle.Log(s.steps, s.log, slog.LevelInfo, "idle connection closed", slog.String("client", c.addr.String()))
	default:
		s.log.Debug("connection ended", slog.String("client", c.addr.String()), slog.Any("error", err))
	}
	return false
}

// refuseRest tells a client that sent ahead, when the agent stops, that its further messages
// are not judged.
func (c *conn) refuseRest() {
	_ = c.nc.SetReadDeadline(time.Now()) // only what has been read already
	for c.reader.Buffered() || len(c.unread) > 0 {
		message, err := c.reader.Next()
		if err != nil {
			break
		}
		reply := protocol.Reply{Reason: protocol.ShuttingDown, Detail: "the agent stops"}
		if req, err := protocol.DecodeRequest(message); err == nil {
			reply.StepID, reply.Req, reply.Session = &req.StepID, req.Req, req.Session
		}
		reply.ErrorCode = c.server.options.Load().Codes.Of(reply.Reason)
		c.countRefused()
		if !c.send(reply) {
			return
		}
	}
	c.linger(drainTime)
}

// cut closes the connection and drops replies that are held back.
func (c *conn) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if c.phase == looping {
		c.hangUp()
		return
	}
	c.closed = true
	for timer, noted := range c.held {
		if timer.Stop() {
			noted.settle(false)
		}
	}
	c.held = nil
	_ = c.nc.Close() // nothing can be done about it
}
