package server

import (
	"bytes"
	"errors"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A connection with nothing to do is parked: it has no worker, and an event loop waits for its
// socket. The loop reads a message that comes whole and alone, and writes the reply if the verdicts
// are cached. Otherwise a goroutine has the step judged and writes the reply, and the connection
// stays parked. Everything else unparks the connection: a partial message or several, a bad message,
// the end of the stream, a reply that the socket does not take at once, a fault, a shutdown.

// A connection that was unparked is parked again once its client has been idle for parkAfter, or
// has made parkAfterSteps steps. What unparked it is likely to come again, and parking costs as much
// as a step.
const (
	parkAfter      = 20 * time.Millisecond
	parkAfterSteps = 32
)

// readBytes is how much a loop reads from one connection at once; longer messages are rare.
const readBytes = 4 << 10

var (
	// errIdle is returned by worker.Read when the client has been idle for parkAfter.
	errIdle = errors.New("the client is idle")
	// errParked is returned by worker.awaitMessage when the connection is parked.
	errParked = errors.New("the connection is parked")
)

// parkedState is the state of a parked connection.
type parkedState struct {
	fd     int         // the socket; -1 when the connection is not parked
	timer  *time.Timer // fires at reads.at or before
	missed bool        // an event came while a message was answered; Sent has the loop look again
	// While a reply is sent: when its request arrived, the interval that it declared, and its audit
	// entry. They belong to the sender, which is the loop or the goroutine that judged the step.
	arrived time.Time
	next    time.Duration
	entry   *auditEntry
}

// park hands the connection, which has nothing under way, to a loop, and the worker must end;
// false when the connection is not parked.
func (c *conn) park() bool {
	if c.worker.neverPark || len(c.worker.unread) > 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.state
	if s.closed || len(s.delayed) > 0 || c.server.draining.Load() {
		return false
	}
	fd, err := eventloop.Take(s.stream)
	if err != nil {
		c.worker.neverPark = true
		return false
	}
	s.stream, c.worker.reader, c.out = nil, nil, nil
	s.fd, s.phase = fd, parked
	s.reads, c.writes = deadline{}, deadline{}
	c.startIdle(time.Now())
	if err := c.server.loops.Add(fd, c); err != nil {
		c.worker.neverPark = true // or every idle period would try again
		c.unpark(nil, nil)
		c.debug("connection not parked", err)
	}
	return true
}

// startIdle starts the idle timeout at now. The caller holds mu.
func (c *conn) startIdle(now time.Time) {
	at := now.Add(c.server.options.Load().IdleTimeout + c.interval)
	c.state.reads.extend(at, at, c.setTimer)
}

// setTimer sets the timer of a parked connection.
func (c *conn) setTimer(t time.Time) error {
	if c.state.timer == nil {
		c.state.timer = time.AfterFunc(time.Until(t), c.timerFired)
	} else {
		c.state.timer.Reset(time.Until(t))
	}
	return nil
}

// timerFired closes a parked connection whose client has been idle for too long. It is also called
// before that, as the timer is put off only when it fires: see deadline.
func (c *conn) timerFired() {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.state
	if !s.phase.inLoop() || s.reads.armed.IsZero() {
		return
	}
	now := time.Now()
	if s.phase != parked {
		s.reads.at = now.Add(c.server.options.Load().IdleTimeout) // a step is under way; Sent starts the idle timeout after it
	}
	if s.reads.timedOut(now, s.reads.at, c.setTimer) != nil {
		c.unpark(nil, func() bool { return c.worker.refuseUnread(os.ErrDeadlineExceeded) })
	}
}

// unpark starts a worker for a parked connection, which calls first, unless that is nil, and then
// handles what the loop has read. The caller holds mu.
func (c *conn) unpark(read []byte, first func() bool) {
	s := &c.state
	c.server.loops.Remove(s.fd)
	s.timer.Stop()
	s.stream = newSocket(s.fd)
	s.fd, s.phase, s.missed = -1, busy, false
	s.reads, c.writes = deadline{}, deadline{}
	c.worker = worker{conn: c, unread: bytes.Clone(read), recentlyUnparked: true, neverPark: c.worker.neverPark}
	go c.worker.loop(first)
}

// unparkFromLoop is unpark for a loop, which does not hold mu.
func (c *conn) unparkFromLoop(read []byte, first func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unpark(read, first)
}

// Ready implements eventloop.Handler: it reads a request, has it judged if that need not wait, and
// queues the reply.
func (c *conn) Ready(round *eventloop.Round, ended bool) {
	defer c.recoverInLoop()
	message, ok := c.receive(round.Buffer[:readBytes], ended)
	if !ok {
		return
	}
	req, ok := protocol.DecodeWhole(message, c.server.options.Load().MessageBytes)
	if !ok {
		c.unparkFromLoop(message, nil)
		return
	}
	arrived := time.Now()
	answer, progress := c.sessions.Try(req, arrived)
	switch {
	case progress == session.MustWait:
		c.startJudging(req, arrived)
	case progress == session.Answered:
		c.queue(round, &answer, &req, arrived)
	case c.server.sessions.Waits():
		c.startStoring()
	default:
		round.Later(c)
	}
}

// Finish implements eventloop.Finisher: it queues the reply to a step once its session is stored.
func (c *conn) Finish(round *eventloop.Round) {
	defer c.recoverInLoop()
	answer, req, arrived := c.sessions.Stored(c.steps)
	c.queue(round, &answer, &req, arrived)
}

// queue queues the reply.
func (c *conn) queue(round *eventloop.Round, answer *session.Answer, req *protocol.Request, arrived time.Time) {
	if out, ok := c.encode(round.Out(), answer, req, arrived); ok {
		round.Send(c.state.fd, out, c)
	}
}

// encode appends the reply to out and notes what Sent needs. It returns false when a worker has been
// given the reply, because of a fault or because it must not be sent.
func (c *conn) encode(out []byte, answer *session.Answer, req *protocol.Request, arrived time.Time) ([]byte, bool) {
	entry := c.finish(answer, req, arrived)
	if answer.Fault != nil || answer.Unknown {
		c.unparkToInject(*answer, *req, arrived, entry)
		return nil, false
	}
	s := &c.state
	s.next, s.arrived, s.entry = min(req.Interval.Duration, session.MaxQuiet), arrived, entry
	return protocol.AppendReply(out, answer.Reply), true
}

// startJudging hands a request that has to wait to a goroutine. Like unparkToInject it is a function
// so that the goroutine does not move the variables of Ready to the heap.
func (c *conn) startJudging(req protocol.Request, arrived time.Time) {
	c.leaveLoop()
	c.server.judging.run(c.server.steps, func() { c.judgeParked(req, arrived) })
}

// judgeParked has a request of a parked connection judged, which may take a while, and sends the
// reply.
func (c *conn) judgeParked(req protocol.Request, arrived time.Time) {
	defer c.recoverInLoop()
	answer := c.sessions.Do(c.steps, req, arrived)
	c.sendParked(&answer, &req, arrived)
}

// startStoring hands a step that is judged to a goroutine, which waits for the store.
func (c *conn) startStoring() {
	c.leaveLoop()
	c.server.judging.run(c.server.steps, c.storeParked)
}

// storeParked sends the reply once the session is stored.
func (c *conn) storeParked() {
	defer c.recoverInLoop()
	answer, req, arrived := c.sessions.Stored(c.steps)
	c.sendParked(&answer, &req, arrived)
}

// leaveLoop says that a goroutine has the step.
func (c *conn) leaveLoop() {
	c.mu.Lock()
	c.state.phase = judging
	c.mu.Unlock()
}

// sendParked sends the reply of a parked connection.
func (c *conn) sendParked(answer *session.Answer, req *protocol.Request, arrived time.Time) {
	if out, ok := c.encode(nil, answer, req, arrived); ok {
		n, _ := eventloop.Write(c.state.fd, out)
		c.Sent(out, n)
	}
}

// unparkToInject hands a reply that is subject to a fault, or is not to be sent, to a worker.
func (c *conn) unparkToInject(answer session.Answer, req protocol.Request, arrived time.Time, entry *auditEntry) {
	c.unparkFromLoop(nil, func() bool {
		if answer.Unknown {
			return c.reset(entry)
		}
		return c.injectFault(answer, req, arrived, entry)
	})
}

// receive reads from a parked connection; false when there is nothing for the loop to handle.
func (c *conn) receive(buffer []byte, ended bool) (message []byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.phase != parked {
		c.state.missed = c.state.phase.inLoop()
		return nil, false
	}
	n, err := eventloop.Read(c.state.fd, buffer)
	if err == syscall.EAGAIN {
		return nil, false
	}
	if n <= 0 || n == len(buffer) || ended { // the end of the stream, an error, or there may be more
		c.unpark(buffer[:max(n, 0)], nil)
		return nil, false
	}
	c.state.phase = looping
	return buffer[:n], true
}

// Sent implements eventloop.Sender: the connection waits for the next message. A worker sends what
// the socket did not take.
func (c *conn) Sent(reply []byte, n int) {
	defer c.recoverInLoop()
	s := &c.state
	entry := s.entry
	s.entry = nil
	if n == len(reply) {
		c.commit(true, s.fd, s.arrived, entry)
	}
	c.interval = s.next
	c.mu.Lock()
	defer c.mu.Unlock()
	if n < len(reply) {
		rest, arrived := bytes.Clone(reply[n:]), s.arrived
		c.unpark(nil, func() bool {
			c.writing.Lock()
			defer c.writing.Unlock()
			sent := c.write(rest)
			c.commit(sent, 0, arrived, entry)
			return sent
		})
		return
	}
	if c.server.draining.Load() {
		c.unpark(nil, nil)
		return
	}
	idleSince := s.arrived // of a step that a loop has answered: it saves reading the clock again
	if s.phase == judging {
		idleSince = time.Now()
	}
	s.phase = parked
	c.startIdle(idleSince)
	if s.missed {
		s.missed = false
		c.server.loops.Rearm(s.fd)
	}
}

// recoverInLoop, deferred, confines a panic in the loop to its connection.
func (c *conn) recoverInLoop() {
	p := recover()
	if p == nil {
		return
	}
	stack := debug.Stack()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.state.phase.inLoop() {
		c.logPanic(p, stack)
		return
	}
	c.unpark(nil, func() bool {
		c.worker.fail(p, stack)
		return false
	})
}
