package client

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A conn is one connection to the agent. The Client's lock guards all but socket and ended.
type conn struct {
	socket net.Conn
	// ended is closed when nothing more is read.
	ended chan struct{}

	ledger ledger
	// at is the call that waits for its reply; nil when none does.
	at *call
	// used is set by the first call.
	used bool
	// dead says why nothing more is sent; nil as long as the connection is good.
	dead error
	// refusal came before there was a request: the agent will not serve this connection. It
	// stands for the first request.
	refusal *protocol.Reply
}

// A call is a request that waits for its reply.
type call struct {
	request  protocol.Request
	sent     time.Time
	deadline time.Time // zero when there is none
	// over has room for the one outcome that a call has.
	over chan outcome
}

// An outcome ends a call.
type outcome struct {
	reply protocol.Reply
	err   error
	at    time.Time
}

func newConn(socket net.Conn) *conn {
	return &conn{socket: socket, ended: make(chan struct{}), ledger: ledger{steps: map[int64]struct{}{}}}
}

// expired reports whether the time of the waiting call is over. A reply that comes exactly
// at the deadline is too late.
func (cn *conn) expired(now time.Time) bool {
	return cn.at != nil && !cn.at.deadline.IsZero() && !now.Before(cn.at.deadline)
}

// finish ends the waiting call. A call that ends without a reply may get one later: the
// connection goes on only if that can be recognised.
func (cn *conn) finish(o outcome, replied bool) {
	done := cn.at
	cn.at = nil
	done.over <- o
	if !cn.ledger.settle(done.request, done.sent, replied) {
		cn.hangUp(o.at)
	}
}

// hangUp closes the connection because the Client wants no more of it.
func (cn *conn) hangUp(now time.Time) { cn.kill(lost(net.ErrClosed), now) }

// kill closes the connection and ends the waiting call with why. Only the first call of it
// has an effect.
func (cn *conn) kill(why error, now time.Time) {
	if cn.dead != nil {
		return
	}
	cn.dead = why
	_ = cn.socket.Close() // nothing that was to be sent is left
	if cn.at != nil {
		cn.finish(outcome{err: why, at: now}, false)
	}
}

// read takes what comes over a connection until it ends.
func (c *Client) read(cn *conn) {
	defer close(cn.ended)
	messages := protocol.NewReader(cn.socket, c.opts.MaxReplyBytes)
	for {
		message, err := messages.Next()
		var reply protocol.Reply
		if err == nil {
			reply, err = protocol.DecodeReply(message)
		}
		var stray *Stray
		if err != nil {
			stray = c.fail(cn, err, message)
		} else {
			stray = c.receive(cn, reply)
		}
		if stray != nil && c.opts.OnStray != nil {
			c.opts.OnStray(*stray)
		}
		if err != nil {
			return
		}
	}
}

// receive decides what a reply is and ends the waiting call if it is the one to it. It
// returns the stray that the reply is, if it is one.
//
// The time of arrival is taken under the lock, so that a call that was given up before the
// reply was looked at was given up before it came.
func (c *Client) receive(cn *conn, reply protocol.Reply) *Stray {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if cn.expired(now) {
		cn.finish(outcome{err: ErrTimeout, at: now}, false)
	}
	if cn.dead != nil {
		return nil // hung up, and this was still on its way
	}
	var asked *protocol.Request
	if cn.at != nil {
		asked = &cn.at.request
	} else if !cn.used && reply.StepID == nil && reply.ErrorCode != 0 && reply.Req.IsZero() {
		cn.refusal = &reply
		cn.hangUp(now)
		return nil
	}
	ruled := cn.ledger.rule(asked, reply)
	var stray *Stray
	switch ruled.kind {
	case isAnswer:
		cn.finish(outcome{reply: reply, at: now}, true)
	case isWrong:
		cn.finish(outcome{err: &WrongReplyError{Reply: &reply, Problem: ruled.problem}, at: now}, true)
	case isStray:
		stray = &Stray{Kind: ruled.stray, Reply: &reply, Problem: ruled.problem}
		if ruled.past != nil {
			stray.Request, stray.Took = ruled.past.request, now.Sub(ruled.past.sent)
		}
	}
	if ruled.hangUp {
		cn.hangUp(now)
	}
	return stray
}

// fail ends a connection that cannot be read on. It returns the stray, if what came is one.
func (c *Client) fail(cn *conn, err error, message []byte) *Stray {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if cn.expired(now) {
		cn.finish(outcome{err: ErrTimeout, at: now}, false)
	}
	var garbage *protocol.Error
	switch {
	case cn.dead != nil:
		return nil // hung up by the Client itself
	case !errors.As(err, &garbage):
		cn.kill(lost(err), now)
		return nil
	}
	problem := garbage.Detail
	if message != nil {
		problem = fmt.Sprintf("%s, in %.256q", problem, message)
	}
	waited := cn.at != nil
	cn.kill(&WrongReplyError{Problem: problem}, now)
	if waited {
		return nil
	}
	return &Stray{Kind: Garbage, Problem: problem}
}
