package client

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A conn is one connection to an agent. Client.mu guards all fields but socket, at and ended.
type conn struct {
	socket net.Conn
	at     int // index of the address
	// ended is closed when the reader has ended.
	ended chan struct{}

	ledger  ledger
	pending *call // waits for its reply; nil for none
	used    bool  // set by the first call
	heard   bool  // set by the first reply
	closed  error // why the connection was closed; nil while it is open
	// lostIdle is when the connection was lost while no call was pending; zero if it was not.
	lostIdle time.Time
	// refusal came before the first request: the agent does not serve this connection. It is
	// the reply to the first request.
	refusal *protocol.Reply
}

// A call is a request that waits for its reply.
type call struct {
	request  protocol.Request
	sent     time.Time    // first, if it is sent again
	deadline time.Time    // zero for none
	done     chan outcome // buffered, receives exactly one outcome
}

// An outcome completes a call.
type outcome struct {
	reply protocol.Reply
	err   error
	at    time.Time
	sent  bool // the request was sent
	// address is the one that was tried.
	address string
}

func newConn(socket net.Conn, at int) *conn {
	return &conn{socket: socket, at: at, ended: make(chan struct{}), ledger: ledger{steps: map[int64]struct{}{}}}
}

// expired reports whether the deadline of the pending call has been reached. A reply that arrives
// exactly at the deadline is late.
func (cn *conn) expired(now time.Time) bool {
	return cn.pending != nil && !cn.pending.deadline.IsZero() && !now.Before(cn.pending.deadline)
}

// complete completes the pending call. Without a reply, the connection stays open only if a late
// one could be recognized.
func (cn *conn) complete(o outcome, replied bool) {
	done := cn.pending
	cn.pending = nil
	done.done <- o
	if !cn.ledger.add(done.request, done.sent, replied) {
		cn.close(o.at)
	}
}

// close closes the connection from the client's side.
func (cn *conn) close(now time.Time) { cn.closeWith(connectionLost(net.ErrClosed), now) }

// closeWith closes the connection and fails the pending call with cause. Further calls have no
// effect.
func (cn *conn) closeWith(cause error, now time.Time) {
	if cn.closed != nil {
		return
	}
	cn.closed = cause
	_ = cn.socket.Close() // all data was sent
	if cn.pending != nil {
		cn.complete(outcome{err: cause, at: now}, false)
	}
}

// read handles the messages of a connection until it ends.
func (c *Client) read(cn *conn) {
	defer close(cn.ended)
	messages := protocol.NewReader(cn.socket, c.opts.MaxReplyBytes)
	for {
		message, err := messages.Next()
		var reply protocol.Reply
		if err == nil {
			reply, err = protocol.DecodeReply(message)
		}
		stray := c.handle(cn, reply, message, err)
		if stray != nil && c.opts.OnStray != nil {
			c.opts.OnStray(*stray)
		}
		if err != nil {
			return
		}
	}
}

// handle completes the pending call if the reply or the read error answers it. It returns the
// stray that the message is otherwise, if any.
//
// It takes the time of arrival under the lock: a call that was completed before is older than the
// reply.
func (c *Client) handle(cn *conn, reply protocol.Reply, message []byte, err error) *Stray {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if cn.expired(now) {
		cn.complete(outcome{err: ErrTimeout, at: now}, false)
	}
	switch {
	case cn.closed != nil:
		return nil // by the Client itself
	case err != nil:
		return cn.fail(err, message, now)
	default:
		stray := cn.receive(reply, now)
		c.echoed = c.echoed || cn.ledger.echoes
		return stray
	}
}

// receive handles a reply.
func (cn *conn) receive(reply protocol.Reply, now time.Time) *Stray {
	cn.heard = true
	var asked *protocol.Request
	if cn.pending != nil {
		asked = &cn.pending.request
	} else if !cn.used && reply.StepID == nil && reply.ErrorCode != 0 && reply.Req.IsZero() {
		cn.refusal = &reply
		cn.close(now)
		return nil
	}
	m := cn.ledger.classify(asked, reply)
	var stray *Stray
	switch m.kind {
	case isAnswer:
		cn.complete(outcome{reply: reply, at: now}, true)
	case isWrong:
		cn.complete(outcome{err: &WrongReplyError{Reply: &reply, Problem: m.problem}, at: now}, true)
	case isStray:
		stray = &Stray{Kind: m.stray, Reply: &reply, Problem: m.problem}
		if m.past != nil {
			stray.Request, stray.Took = m.past.request, now.Sub(m.past.sent)
		}
	}
	if m.close {
		cn.close(now)
	}
	return stray
}

// fail closes a connection that cannot be read further. It returns a stray for garbage that came
// while no call was pending.
func (cn *conn) fail(err error, message []byte, now time.Time) *Stray {
	var garbage *protocol.Error
	if !errors.As(err, &garbage) {
		if cn.pending == nil {
			cn.lostIdle = now
		}
		cn.closeWith(readFailed(err, cn.heard), now)
		return nil
	}
	problem := garbage.Detail
	if message != nil {
		problem = fmt.Sprintf("%s, in %.256q", problem, message)
	}
	waited := cn.pending != nil
	cn.closeWith(&WrongReplyError{Problem: problem}, now)
	if waited {
		return nil
	}
	return &Stray{Kind: Garbage, Problem: problem}
}
