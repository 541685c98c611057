package server

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/stepagent/stepagent/agent/internal/eventloop"
	"github.com/stepagent/stepagent/agent/internal/session"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A connection that has nothing to do is parked: it has no goroutine, and an event loop waits
// for its socket. The loop reads a message that comes whole and alone and has it judged without waiting,
// and whoever has the answer writes it. For everything else the connection gets its goroutine
// back: half a message or two, a message that is wrong, the end of the stream, a reply that
// the socket does not take at once, a fault, a shutdown.

// calmAfter is how long the client of a connection that was given back its goroutine must be
// quiet before it is parked again: who sends in an unusual way once does so again.
const calmAfter = 20 * time.Millisecond

// readBytes is how much a loop reads from one connection at once: a message that is longer is
// not usual.
const readBytes = 4 << 10

// errQuiet is what a Read returns when the client has been quiet for so long.
var errQuiet = errors.New("the client is quiet")

// A berth is what a parked connection has in the place of a goroutine.
type berth struct {
	fd    int         // the socket; -1 when the connection is not parked
	timer *time.Timer // goes off at reads, or before
	again bool        // more came while a message was being judged
}

// Read reads what the reader of messages wants, within what enter allows.
func (c *conn) Read(b []byte) (int, error) {
	if len(c.unread) > 0 {
		n := copy(b, c.unread)
		c.unread = c.unread[n:]
		return n, nil
	}
	for {
		n, err := c.nc.Read(b)
		if n > 0 || err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if err := c.early(); err != nil {
			return 0, err
		}
	}
}

// early looks at a deadline that has passed: nil when it was that of something earlier, and
// reading goes on; errQuiet when the connection may be parked; else it was the true one.
func (c *conn) early() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.server.draining.Load() {
		return os.ErrDeadlineExceeded
	}
	look := c.reads.at
	calm := c.phase == idle && !c.stays
	if calm {
		look = c.quietSince.Add(calmAfter)
	}
	quiet := calm && !now.Before(look)
	if quiet {
		look = c.reads.at
	}
	if err := c.reads.early(now, look, c.nc.SetReadDeadline); err != nil || !quiet {
		return err
	}
	return errQuiet
}

// park leaves the connection, of which nothing is under way, to a loop; false when it keeps its
// goroutine, which ends otherwise.
func (c *conn) park() bool {
	if c.stays || len(c.unread) > 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.held)+c.letting > 0 || c.server.draining.Load() {
		return false
	}
	fd, ok := take(c.nc)
	if !ok {
		c.stays = true
		return false
	}
	c.nc, c.reader, c.out = nil, nil, nil
	c.fd, c.phase = fd, parked
	c.reads, c.writes = deadline{}, deadline{}
	c.awaitIdle()
	if err := c.server.loops.Add(fd, c); err != nil {
		c.stays = true // or it would be tried each time that its client is quiet
		c.unpark(nil, nil)
		c.server.log.Debug("connection not parked", slog.String("client", c.addr.String()), slog.Any("error", err))
	}
	return true
}

// awaitIdle sets when the client has been idle for too long. The caller holds mu.
func (c *conn) awaitIdle() {
	at := time.Now().Add(c.server.options.Load().IdleTimeout + c.quiet)
	c.reads.put(at, at, c.wakeAt)
}

// wakeAt has overdue called at a time.
func (c *conn) wakeAt(t time.Time) error {
	if c.timer == nil {
		c.timer = time.AfterFunc(time.Until(t), c.overdue)
	} else {
		c.timer.Reset(time.Until(t))
	}
	return nil
}

// overdue closes the connection if its client has been idle for too long.
func (c *conn) overdue() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != parked && c.phase != asked || c.reads.told.IsZero() {
		return
	}
	now := time.Now()
	if c.phase == asked {
		c.reads.at = now.Add(c.server.options.Load().IdleTimeout) // counts from the reply, and is put then
	}
	if c.reads.early(now, c.reads.at, c.wakeAt) != nil {
		c.unpark(nil, func() bool { return c.refuseUnread(os.ErrDeadlineExceeded) })
	}
}

// unpark gives the connection its goroutine back, with what has been read already and with
// what is to be done first. The caller holds mu.
func (c *conn) unpark(read []byte, first func() bool) {
	c.server.loops.Remove(c.fd)
	c.timer.Stop()
	c.nc = newSocket(c.fd)
	c.fd, c.phase, c.again = -1, busy, false
	c.reads, c.writes = deadline{}, deadline{}
	c.unread, c.wary = bytes.Clone(read), true
	go c.goOn(first)
}

// Ready implements eventloop.Handler.
func (c *conn) Ready(round *eventloop.Round, ended bool) {
	defer c.recovered()
	req, ok := c.receive(round.Buffer[:readBytes], ended)
	if !ok {
		return
	}
	arrived := time.Now()
	flush, ok := c.sessions.Start(c.steps, req, arrived, c)
	if !ok {
		go c.wait(req, arrived)
	} else if flush != nil {
		round.Finally(flush)
	}
}

// receive reads a request; false when there is none for the loop to see to.
func (c *conn) receive(buffer []byte, ended bool) (req protocol.Request, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != parked {
		c.again = true
		return req, false
	}
	n, err := eventloop.Read(c.fd, buffer)
	if err == syscall.EAGAIN {
		return req, false
	}
	read := buffer[:n] // nothing at the end of the stream, and after an error
	if n > 0 && n < len(buffer) && !ended {
		req, ok = protocol.DecodeWhole(read, c.server.options.Load().MessageBytes)
	}
	if !ok {
		c.unpark(read, nil)
		return req, false
	}
	c.phase, c.quiet = asked, min(req.Interval.Duration, session.MaxQuiet)
	return req, true
}

// wait has a request judged that has to wait for something, on a goroutine of its own.
func (c *conn) wait(req protocol.Request, arrived time.Time) {
	defer c.recovered()
	c.Answered(req, arrived, c.sessions.Do(c.steps, req, arrived))
}

// Answered implements session.Client.
func (c *conn) Answered(req protocol.Request, arrived time.Time, answer session.Answer) {
	defer c.recovered()
	o := c.server.options.Load()
	if req.Client != "" {
		answer.Reply.Agent = o.Agent
	}
	c.countUnjudged(answer)
	noted := c.account(o, req, answer, arrived)
	if answer.Fault != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.unpark(nil, func() bool { return c.misbehave(answer, req, arrived, noted) })
		return
	}
	var room [256]byte
	if c.reply(protocol.AppendReply(room[:0], answer.Reply), noted) {
		noted.settle(true)
	}
}

// reply writes a reply, and waits for the next message; false when it has left the rest of the
// reply to a goroutine.
func (c *conn) reply(out []byte, noted *account) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, _ := eventloop.Write(c.fd, out)
	if n < len(out) {
		rest := bytes.Clone(out[n:])
		c.unpark(nil, func() bool {
			sent := c.sendRest(rest)
			noted.settle(sent)
			return sent
		})
		return false
	}
	if c.server.draining.Load() {
		c.unpark(nil, nil)
		return true
	}
	c.phase = parked
	c.awaitIdle()
	if c.again {
		c.lookAgain()
	}
	return true
}

// lookAgain has the loop look for what came meanwhile. The caller holds mu.
func (c *conn) lookAgain() {
	c.again = false
	if c.server.loops.Again(c.fd) != nil {
		c.unpark(nil, nil)
	}
}

// sendRest writes the rest of a reply.
func (c *conn) sendRest(rest []byte) bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.write(rest)
}

// Failed implements session.Client.
func (c *conn) Failed(panicked any, stack []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != parked && c.phase != asked {
		c.logPanic(panicked, stack)
		return
	}
	c.unpark(nil, func() bool {
		c.failed(panicked, stack)
		return false
	})
}

// recovered, deferred, keeps a panic to the connection that it came from.
func (c *conn) recovered() {
	if p := recover(); p != nil {
		c.Failed(p, debug.Stack())
	}
}

// peerGone reports whether the other end has closed and everything that it sent has been read.
func (c *conn) peerGone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return true
	}
	if c.nc == nil {
		return isGone(c.fd)
	}
	return streamGone(c.nc)
}

// hangUp ends a parked connection both ways; the answer that is still to come finds it so. The
// caller holds mu.
func (c *conn) hangUp() { shutDown(c.fd) }
