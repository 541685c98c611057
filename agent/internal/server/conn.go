package server

import (
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
	nc       net.Conn
	addr     netip.AddrPort
	reader   *protocol.Reader
	sessions *session.Conn
	quiet    time.Duration // the interval that the client declared last

	mu     sync.Mutex
	idle   bool // waits for the first byte of a message
	closed bool
	held   map[*time.Timer]struct{} // replies that a fault holds back

	writing sync.Mutex
	out     []byte
}

func newConn(s *Server, nc net.Conn, addr netip.AddrPort) *conn {
	return &conn{server: s, nc: nc, addr: addr}
}

// serve handles messages until the connection ends.
func (c *conn) serve() {
	s := c.server
	c.reader = protocol.NewReader(c.nc, s.options.Load().MessageBytes)
	c.sessions = s.sessions.Connect(session.Peer{Addr: c.addr, Gone: peerGone(c.nc)})
	defer s.dismiss(c)
	defer c.cut()
	defer c.sessions.Close()
	defer func() {
		if p := recover(); p != nil {
			// One connection's defect must not end the others.
			s.log.Error("panic while serving a connection", slog.String("client", c.addr.String()),
				slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			c.turnAway(protocol.Internal, "the agent failed on this message")
		}
	}()
	for c.awaitMessage() && c.handleMessage() {
	}
}

// awaitMessage returns true when the first byte of a message is there.
func (c *conn) awaitMessage() bool {
	if c.server.draining.Load() {
		return c.refuseRest()
	}
	if !c.reader.Buffered() {
		if !c.rest() {
			return c.refuseRest()
		}
		err := c.reader.Wait()
		c.wake()
		if err != nil {
			return c.refuseUnread(err)
		}
	}
	return true
}

// rest marks the connection as idle, so that a shutdown may close it at once; false when the
// shutdown has begun.
func (c *conn) rest() bool {
	idleTimeout := c.server.options.Load().IdleTimeout
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server.draining.Load() {
		return false
	}
	c.idle = true
	_ = c.nc.SetReadDeadline(time.Now().Add(idleTimeout + c.quiet)) // fails only when closed
	return true
}

func (c *conn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = false
}

// drain has an idle connection close; one that is busy sees to it after its reply.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle {
		_ = c.nc.SetReadDeadline(time.Now())
	}
}

// handleMessage reads one message and answers it; false ends the connection.
func (c *conn) handleMessage() bool {
	o := c.server.options.Load()
	_ = c.nc.SetReadDeadline(time.Now().Add(o.MessageTime)) // for the whole message, whatever trickles in
	message, err := c.reader.Next()
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
		return c.send(refusal(req, o, "too many replies of this connection are outstanding; wait for them"))
	}
	c.quiet = min(req.Interval.Duration, maxQuiet)
	answer := c.sessions.Do(c.server.steps, req, arrived)
	if answer.Fault == nil {
		return c.send(answer.Reply)
	}
	return c.misbehave(answer, req, arrived)
}

// maxQuiet bounds the declared interval during which a connection is not idle.
const maxQuiet = 24 * time.Hour

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
	case errors.Is(err, io.EOF), s.draining.Load():
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
			return false
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
	for timer := range c.held {
		timer.Stop()
	}
	c.held = nil
	_ = c.nc.Close() // nothing can be done about it
}
