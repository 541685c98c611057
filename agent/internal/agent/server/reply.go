package server

import (
	"errors"
	"io"
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

// sendAudited is send for the reply to a step that has arrived before, with its audit entry.
func (c *conn) sendAudited(reply protocol.Reply, arrived time.Time, entry *auditEntry) bool {
	sent := c.send(reply)
	c.commit(sent, 0, arrived, entry)
	return sent
}

// commit counts and records a step whose reply was sent, or was not. Number is that of the socket, if
// a loop has it.
func (c *conn) commit(sent bool, number int, arrived time.Time, entry *auditEntry) {
	if sent && !c.probing {
		c.server.took.Of(number).Add(time.Since(arrived))
	}
	entry.commit(sent)
}

// write writes bytes within the reply time. The caller holds writing. With TLS a write that has timed
// out cannot go on, and none times out early: see transport.
func (c *conn) write(b []byte) bool {
	stream := c.state.stream
	until := time.Now().Add(c.server.options.Load().ReplyTime)
	c.writes.extend(until, until, stream.SetWriteDeadline)
	n, err := stream.Write(b)
	for errors.Is(err, os.ErrDeadlineExceeded) && !c.overTLS && c.writes.timedOut(time.Now(), until, stream.SetWriteDeadline) == nil {
		var more int
		more, err = stream.Write(b[n:])
		n += more
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.warn(c.server.logLimits.unread, "reply not taken, connection closed")
	default:
		c.debug("reply not sent", err)
	}
	return false
}

// injectFault does to a reply what a validator asked for; false ends the connection. The verdict is
// committed already, and a repeated request gets its true reply.
func (c *conn) injectFault(answer session.Answer, req protocol.Request, arrived time.Time, entry *auditEntry) bool {
	reply, fault, sent := answer.Reply, *answer.Fault, false
	switch fault.Kind {
	case validator.FaultDelay:
		c.delay(fault.Delay, reply, entry)
		return true
	case validator.FaultLate:
		after := req.Timeout.Duration
		after += min(fault.Delay, math.MaxInt64-after)
		c.delay(after-time.Since(arrived), reply, entry)
		return true
	case validator.FaultWithhold:
		entry.commit(false)
		return true
	case validator.FaultReset:
		return c.reset(entry)
	case validator.FaultSplit:
		sent = c.sendSplit(reply, fault.Delay)
	case validator.FaultDuplicate:
		first := c.send(reply)
		sent = first && c.send(reply)
	case validator.FaultWrongID:
		reply.StepID = &fault.StepID
		sent = c.send(reply)
	case validator.FaultWrongCode:
		reply.ErrorCode = fault.Code
		sent = c.send(reply)
	}
	entry.commit(sent)
	return sent
}

// reset records that no reply was sent, and has closing the connection send RST, tcp(7). It returns
// false: the connection is to end.
func (c *conn) reset(entry *auditEntry) bool {
	entry.commit(false)
	if tcp, ok := c.state.stream.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	return false
}

// delay sends the reply after d, unless the connection has closed by then. Later replies do not
// wait for it.
func (c *conn) delay(d time.Duration, reply protocol.Reply, entry *auditEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.state
	if s.closed {
		entry.commit(false)
		return
	}
	if s.delayed == nil {
		s.delayed = map[*time.Timer]*auditEntry{}
	}
	var timer *time.Timer
	timer = time.AfterFunc(max(d, 0), func() {
		sent := c.send(reply)
		entry.commit(sent)
		c.mu.Lock()
		delete(s.delayed, timer)
		c.mu.Unlock()
		if !sent {
			c.close()
		}
	})
	s.delayed[timer] = entry
}

func (c *conn) delayedReplies() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.state.delayed)
}

// sendSplit sends the reply in two segments with a pause between them. Nothing is read meanwhile.
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
	case <-c.server.stopping: // no fault delays a shutdown
	}
	return c.write(c.out[half:])
}

// Limits of what is read and discarded before a connection is closed on a client that may still be
// sending: closing with unread bytes makes the kernel drop our last reply.
const (
	maxLingerBytes = 1 << 20
	maxLingerTime  = 500 * time.Millisecond
)

// sendLast sends a reply that answers no step, and closes the connection once the client has had
// time to read it.
func (c *conn) sendLast(reason protocol.Reason, detail string) {
	reply := protocol.Reply{ErrorCode: c.server.options.Load().Codes.Of(reason), Reason: reason, Detail: detail}
	if c.send(reply) {
		c.linger(maxLingerTime)
	}
	c.close()
}

// sendsHello waits a moment for the first byte of a client that is being refused, and reports whether
// it begins a TLS handshake.
func (c *conn) sendsHello() bool {
	stream, first := c.state.stream, make([]byte, 1)
	_ = stream.SetReadDeadline(time.Now().Add(maxLingerTime)) // fails only when closed
	_, err := io.ReadFull(stream, first)
	return err == nil && first[0] == firstOfTLS
}

// sendOverload is sendLast for a client whose handshake is not made, because there are too many
// connections: an alert, since a reply would need the handshake.
func (c *conn) sendOverload() {
	c.writing.Lock()
	sent := c.write(overloadAlert)
	c.writing.Unlock()
	if sent {
		c.linger(maxLingerTime)
	}
	c.close()
}

// linger closes our side of the connection, and gives the client time to read what it was sent and
// to close its own.
func (c *conn) linger(within time.Duration) {
	stream := c.state.stream
	if closeWrite(stream) != nil {
		return
	}
	c.setBusy()
	_ = stream.SetReadDeadline(time.Now().Add(within))
	_, _ = io.CopyN(io.Discard, socketOf(stream), maxLingerBytes) // mostly ends with an error
}
