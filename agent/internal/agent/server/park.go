package server

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A connection that has nothing to do is parked: it has no goroutine, and an event loop waits
// for its socket. The loop reads a message that comes whole and alone, has it judged if the
// verdicts are at hand, and writes the reply. For everything else the connection gets its
// goroutine back: half a message or two, a message that is wrong, the end of the stream, a step
// that a validator must be asked about, a reply that the socket does not take at once, a fault, a
// shutdown.

// A connection that was given back its goroutine is parked again once its client has been quiet for
// calmAfter, or has made calmSteps steps in a row that a loop could have answered: what was unusual
// once is so again, and parking costs as much as a step.
const (
	calmAfter = 20 * time.Millisecond
	calmSteps = 32
)

// readBytes is how much a loop reads from one connection at once: a message that is longer is
// not usual.
const readBytes = 4 << 10

// errQuiet is what a Read returns when the client has been quiet for so long.
var errQuiet = errors.New("the client is quiet")

// A berth holds what a parked connection needs and one with a goroutine does not.
type berth struct {
	fd    int         // the socket; -1 when the connection is not parked
	timer *time.Timer // goes off at reads, or before
	// These are the loop's, while it sends a reply.
	arrived time.Time     // the message
	next    time.Duration // quiet, once the reply is sent
	noted   *account
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
	c.awaitIdle(time.Now())
	if err := c.server.loops.Add(fd, c); err != nil {
		c.stays = true // or it would be tried each time that its client is quiet
		c.unpark(nil, nil)
		c.server.log.Debug("connection not parked", slog.String("client", c.addr.String()), slog.Any("error", err))
	}
	return true
}

// awaitIdle sets when the client, which was not idle now, has been so for too long. The caller holds
// mu.
func (c *conn) awaitIdle(now time.Time) {
	at := now.Add(c.server.options.Load().IdleTimeout + c.quiet)
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
	if c.phase != parked && c.phase != looping || c.reads.told.IsZero() {
		return
	}
	now := time.Now()
	if c.phase == looping {
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
	c.fd, c.phase = -1, busy
	c.reads, c.writes = deadline{}, deadline{}
	c.unread, c.wary, c.calm = bytes.Clone(read), true, 0
	go c.goOn(first)
}

// Ready implements eventloop.Handler: it reads a request, has it judged if that need not wait, and
// has the reply sent.
func (c *conn) Ready(round *eventloop.Round, ended bool) {
	defer c.recovered()
	message, ok := c.receive(round.Buffer[:readBytes], ended)
	if !ok {
		return
	}
	req, ok := protocol.DecodeWhole(message, c.server.options.Load().MessageBytes)
	if !ok {
		c.giveBack(message, nil)
		return
	}
	arrived := time.Now()
	answer, ok := c.sessions.Try(req, arrived)
	if !ok {
		c.giveToGoroutine(req, arrived)
		return
	}
	noted := c.finish(&answer, &req, arrived)
	if answer.Fault != nil {
		c.giveFault(answer, req, arrived, noted)
		return
	}
	c.next, c.arrived, c.noted = min(req.Interval.Duration, session.MaxQuiet), arrived, noted
	round.Send(c.fd, protocol.AppendReply(round.Out(), answer.Reply), c)
}

// giveToGoroutine leaves a request that has to wait to the connection's goroutine.
func (c *conn) giveToGoroutine(req protocol.Request, arrived time.Time) {
	c.giveBack(nil, func() bool { return c.judge(req, arrived) })
}

// giveFault leaves a reply that a fault spoils to the connection's goroutine.
func (c *conn) giveFault(answer session.Answer, req protocol.Request, arrived time.Time, noted *account) {
	c.giveBack(nil, func() bool { return c.misbehave(answer, req, arrived, noted) })
}

// receive reads what has come; false when that is nothing, or not for the loop to see to.
func (c *conn) receive(buffer []byte, ended bool) (message []byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != parked {
		return nil, false
	}
	n, err := eventloop.Read(c.fd, buffer)
	if err == syscall.EAGAIN {
		return nil, false
	}
	if n <= 0 || n == len(buffer) || ended { // the end of the stream, an error, or there may be more
		c.unpark(buffer[:max(n, 0)], nil)
		return nil, false
	}
	c.phase = looping
	return buffer[:n], true
}

// giveBack gives the connection its goroutine back from within the loop.
func (c *conn) giveBack(read []byte, first func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unpark(read, first)
}

// Sent implements eventloop.Sender: the connection waits for the next message. What the socket did
// not take is left to a goroutine.
func (c *conn) Sent(reply []byte, n int) {
	defer c.recovered()
	noted := c.noted
	c.noted = nil
	if n == len(reply) {
		noted.settle(true)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.quiet = c.next
	if n < len(reply) {
		rest := bytes.Clone(reply[n:])
		c.unpark(nil, func() bool {
			sent := c.sendRest(rest)
			noted.settle(sent)
			return sent
		})
		return
	}
	if c.server.draining.Load() {
		c.unpark(nil, nil)
		return
	}
	c.phase = parked
	c.awaitIdle(c.arrived)
}

// sendRest writes the rest of a reply.
func (c *conn) sendRest(rest []byte) bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.write(rest)
}

// recovered, deferred, keeps a panic within the loop to the connection that it came from.
func (c *conn) recovered() {
	p := recover()
	if p == nil {
		return
	}
	stack := debug.Stack()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != parked && c.phase != looping {
		c.logPanic(p, stack)
		return
	}
	c.unpark(nil, func() bool {
		c.failed(p, stack)
		return false
	})
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

// hangUp ends a parked connection both ways, which its loop finds out. The caller holds mu.
func (c *conn) hangUp() { shutDown(c.fd) }
