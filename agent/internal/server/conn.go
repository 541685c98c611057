package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/session"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A conn is one connection. Its goroutine reads, judges and replies; other goroutines only
// write replies that a fault has held back, and close it.
type conn struct {
	server   *Server
	steps    context.Context // of the steps that are judged
	probing  bool            // nobody's connection, see door
	nc       net.Conn
	addr     netip.AddrPort
	reader   *protocol.Reader
	sessions *session.Conn
	quiet    time.Duration // the interval that the client declared last
	naps

	mu     sync.Mutex
	phase  phase
	reads  deadline
	closed bool
	held   map[*time.Timer]*account // replies that a fault holds back

	writing sync.Mutex
	writes  deadline
	out     []byte
}

// A phase is what a connection's goroutine is at, for a shutdown.
type phase uint8

const (
	busy    phase = iota // has a message judged, or replies
	idle                 // waits for the first byte of a message
	reading              // waits for the rest of one
)

// drainTime is how long the rest of a message may take to arrive once the agent is stopping,
// and the client to close when it has its last reply.
const drainTime = 200 * time.Millisecond

func newConn(s *Server, nc net.Conn, addr netip.AddrPort) *conn {
	c := &conn{server: s, steps: s.steps, nc: nc, addr: addr}
	if p, ok := nc.(probe); ok {
		c.steps, c.probing = p.judging, true
	}
	return c
}

// serve handles messages until the connection ends.
func (c *conn) serve() {
	s := c.server
	c.reader = protocol.NewReader(c, s.options.Load().MessageBytes)
	sessions := s.sessions
	if c.probing {
		sessions = s.probes
	}
	c.sessions = sessions.Connect(session.Peer{Addr: c.addr, Gone: peerGone(c.nc)})
	c.nap = firstNap
	c.goOn()
}

// goOn handles messages until the connection ends, or until its client has been quiet for so
// long that another goroutine, whose stack is small, waits in the place of this one.
func (c *conn) goOn() {
	defer c.end()
	for c.awaitMessage() && c.handleMessage() {
	}
}

// end, deferred, ends the connection, or leaves it to another goroutine.
func (c *conn) end() {
	if p := recover(); p != nil {
		c.failed(p)
	} else if c.napping {
		c.napping = false
		c.server.running.Go(c.goOn)
		return
	}
	c.sessions.Close()
	c.cut()
	c.server.dismiss(c)
}

// failed tells of a defect that one connection met, which must not end the others.
func (c *conn) failed(p any) {
	c.server.log.Error("panic while serving a connection", slog.String("client", c.addr.String()),
		slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	c.turnAway(protocol.Internal, "the agent failed on this message")
}

// awaitMessage returns true when the first byte of a message is there.
func (c *conn) awaitMessage() bool {
	if c.server.draining.Load() {
		return c.refuseRest()
	}
	if !c.reader.Buffered() {
		idleTimeout := c.server.options.Load().IdleTimeout
		// A goroutine that goes on with waiting has the deadline of the one before.
		if !c.rested && !c.enter(idle, idleTimeout+c.quiet, 0) {
			return c.refuseRest()
		}
		if err := c.reader.Wait(); err != nil {
			c.napping = errors.Is(err, errNap)
			return !c.napping && c.refuseUnread(err)
		}
	}
	return true
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
	if p == idle {
		c.quietSince, look = now, now.Add(c.nap)
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
	case busy:
	}
}

// handleMessage reads one message and answers it; false ends the connection.
func (c *conn) handleMessage() bool {
	c.wake()
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
		noted := c.account(o, req, refused, arrived)
		sent := c.send(refused.Reply)
		noted.settle(sent)
		return sent
	}
	c.quiet = min(req.Interval.Duration, session.MaxQuiet)
	answer := c.sessions.Do(c.steps, req, arrived)
	if req.Client != "" {
		answer.Reply.Agent = o.Agent
	}
	noted := c.account(o, req, answer, arrived)
	if answer.Fault == nil || c.probing {
		sent := c.send(answer.Reply)
		noted.settle(sent)
		return sent
	}
	return c.misbehave(answer, req, arrived, noted)
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
		return c.send(bad.Reply(o.Codes.Of(bad.Reason)))
	case errors.As(err, &bad):
		c.note(s.notes.bad, "bad message", slog.String("detail", bad.Detail))
		c.turnAway(bad.Reason, bad.Detail)
	case errors.Is(err, io.EOF):
	case s.draining.Load():
		c.linger(drainTime)
	case errors.Is(err, os.ErrDeadlineExceeded) && c.reader.Buffered():
		detail := "the message was not complete within " + o.MessageTime.String()
		c.note(s.notes.slow, "slow message", slog.String("detail", detail))
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
func (c *conn) refuseRest() bool {
	_ = c.nc.SetReadDeadline(time.Now()) // only what has been read already
	for c.reader.Buffered() {
		message, err := c.reader.Next()
		if err != nil {
			break
		}
		reply := protocol.Reply{Reason: protocol.ShuttingDown, Detail: "the agent stops"}
		if req, err := protocol.DecodeRequest(message); err == nil {
			reply.StepID, reply.Req, reply.Session = &req.StepID, req.Req, req.Session
		}
		reply.ErrorCode = c.server.options.Load().Codes.Of(reply.Reason)
		if !c.send(reply) {
			return false
		}
	}
	c.linger(drainTime)
	return false
}

// cut closes the connection and drops replies that are held back.
func (c *conn) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
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
