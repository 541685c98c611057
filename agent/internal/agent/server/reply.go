package server

import (
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// send writes the reply; false when the client does not take it.
func (c *conn) send(reply protocol.Reply) bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.out = protocol.AppendReply(c.out[:0], reply)
	return c.write(c.out)
}

// write writes bytes within the reply time; the caller holds writing.
func (c *conn) write(b []byte) bool {
	s := c.server
	until := time.Now().Add(s.options.Load().ReplyTime)
	c.writes.put(until, until, c.nc.SetWriteDeadline)
	n, err := c.nc.Write(b)
	for errors.Is(err, os.ErrDeadlineExceeded) && c.writes.early(time.Now(), until, c.nc.SetWriteDeadline) == nil {
		var more int
		more, err = c.nc.Write(b[n:])
		n += more
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.note(s.notes.unread, "reply not taken, connection closed")
	default:
		s.log.Debug("reply not sent", slog.String("client", c.addr.String()), slog.Any("error", err))
	}
	return false
}

// misbehave carries out the fault that a validator asked for; false ends the connection. The
// verdict is stored already, and a request that is sent again gets its true reply.
func (c *conn) misbehave(answer session.Answer, req protocol.Request, arrived time.Time, noted *account) bool {
	reply, fault := answer.Reply, *answer.Fault
	switch fault.Kind {
	case validator.FaultDelay:
		c.hold(fault.Delay, reply, noted)
		return true
	case validator.FaultLate:
		after := req.Timeout.Duration
		after += min(fault.Delay, math.MaxInt64-after)
		c.hold(after-time.Since(arrived), reply, noted)
		return true
	case validator.FaultWithhold:
		noted.settle(false)
		return true
	case validator.FaultReset:
		noted.settle(false)
		if tcp, ok := c.nc.(interface{ SetLinger(seconds int) error }); ok {
			_ = tcp.SetLinger(0) // so that closing sends RST, tcp(7)
		}
		return false
	default:
		sent := c.sendSpoilt(reply, fault)
		noted.settle(sent)
		return sent
	}
}

// sendSpoilt sends a reply at once, with what is wrong about it.
func (c *conn) sendSpoilt(reply protocol.Reply, fault validator.Fault) bool {
	switch fault.Kind {
	case validator.FaultDuplicate:
		sent := c.send(reply)
		return sent && c.send(reply)
	case validator.FaultSplit:
		return c.sendSplit(reply, fault.Delay)
	case validator.FaultWrongID:
		reply.StepID = &fault.StepID
	case validator.FaultWrongCode:
		reply.ErrorCode = fault.Code
	}
	return c.send(reply)
}

// hold sends the reply after d, unless the connection has closed by then. Later replies do
// not wait for it.
func (c *conn) hold(d time.Duration, reply protocol.Reply, noted *account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		noted.settle(false)
		return
	}
	if c.held == nil {
		c.held = map[*time.Timer]*account{}
	}
	var timer *time.Timer
	timer = time.AfterFunc(max(d, 0), func() {
		c.mu.Lock()
		delete(c.held, timer)
		c.letting++
		closed := c.closed
		c.mu.Unlock()
		sent := !closed && c.send(reply)
		noted.settle(sent)
		if !closed && !sent {
			c.cut()
		}
		c.mu.Lock()
		c.letting--
		c.mu.Unlock()
	})
	c.held[timer] = noted
}

func (c *conn) heldBack() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.held)
}

// sendSplit sends the reply in two segments. Nothing is read meanwhile.
func (c *conn) sendSplit(reply protocol.Reply, pause time.Duration) bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.out = protocol.AppendReply(c.out[:0], reply)
	half := len(c.out) / 2
	if !c.write(c.out[:half]) {
		return false
	}
	select {
	case <-time.After(pause):
	case <-c.server.leaving: // which no fault puts off
	}
	return c.write(c.out[half:])
}

// Bounds of what is read and thrown away before a connection is closed on a client that may
// still be sending, since closing on unread bytes makes the kernel drop our last reply.
const (
	maxLingerBytes = 1 << 20
	maxLingerTime  = 500 * time.Millisecond
)

// turnAway sends a last reply that answers no step and ends the connection once the client
// has had the chance to read it.
func (c *conn) turnAway(reason protocol.Reason, detail string) {
	reply := protocol.Reply{ErrorCode: c.server.options.Load().Codes.Of(reason), Reason: reason, Detail: detail}
	if c.send(reply) {
		c.linger(maxLingerTime)
	}
	c.cut()
}

// linger ends our side of the connection and gives the client so long to read what it was
// sent, and to close its own.
func (c *conn) linger(within time.Duration) {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.leave() // so that no shutdown changes the deadline
	_ = c.nc.SetReadDeadline(time.Now().Add(within))
	_, _ = io.CopyN(io.Discard, c.nc, maxLingerBytes) // ends with an error as a rule
}
