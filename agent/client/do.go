package client

import (
	"context"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A Result is what became of one request.
type Result struct {
	// Request is the request as it was sent, with its req.
	Request protocol.Request
	// Reply is the answer; the zero value when there is an error.
	Reply protocol.Reply
	// Sent is when the request was about to be written; zero when it came to no connection.
	Sent time.Time
	// Done is when the reply arrived, or when it was known that none will.
	Done time.Time
}

// Do sends a request and returns the reply to it.
//
// A declared Timeout of the request is how long Do waits for the reply, counted from the
// sending; a reply that comes exactly then is too late. The context may end everything
// earlier, and bounds the making of a new connection where one is needed. A request is sent
// at most once.
//
// The error is ErrTimeout, ErrConnectionLost, ErrWrongReply or ErrUnreachable, for
// errors.Is, or the context's cause when that was cancelled. A reply that refuses the step
// is no error, see Reply.OK; only a reply to this very request is ever returned.
func (c *Client) Do(ctx context.Context, r protocol.Request) (protocol.Reply, error) {
	result, err := c.Exchange(ctx, r)
	return result.Reply, err
}

// Exchange is Do that tells the times, too. The times are set also when there is an error.
func (c *Client) Exchange(ctx context.Context, r protocol.Request) (Result, error) {
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-ctx.Done():
		return Result{Request: r, Done: time.Now()}, gaveUp(ctx)
	}
	if ctx.Err() != nil {
		return Result{Request: r, Done: time.Now()}, gaveUp(ctx)
	}
	r = c.name(r)
	cn, fresh, err := c.connection(ctx, r)
	if err != nil {
		return Result{Request: r, Done: time.Now()}, err
	}
	if fresh && !c.opts.Plain && len(r.Data) <= maxAskingBytes {
		r.Client = c.opts.Name
	}
	if c.opts.OnSent != nil {
		c.opts.OnSent(r)
	}
	pending := c.begin(ctx, cn, r)
	whole := c.write(ctx, cn, pending)
	o := c.await(ctx, cn, pending)
	if !whole || c.opts.Plain {
		c.mu.Lock()
		cn.hangUp(o.at)
		c.mu.Unlock()
	}
	return Result{Request: r, Reply: o.reply, Sent: pending.sent, Done: o.at}, o.err
}

// maxAskingBytes is the length of the longest data with which a request asks for the agent's
// version: the question must not make a message too long that was not.
const maxAskingBytes = 1024

// connection returns the connection for a request: the present one if it is good, or one
// that the agent refused before the first request, else a new one; fresh when it has had no
// request.
func (c *Client) connection(ctx context.Context, r protocol.Request) (cn *conn, fresh bool, err error) {
	c.mu.Lock()
	cn = c.conn
	good := cn.dead == nil && cn.ledger.admits(r) || cn.refusal != nil && !cn.used
	fresh = !cn.used
	c.mu.Unlock()
	if good {
		return cn, fresh, nil
	}
	if err := c.connect(ctx); err != nil {
		return nil, false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn, true, nil
}

// begin makes the call that waits for the reply. On a connection that is dead the call is
// over at once.
func (c *Client) begin(ctx context.Context, cn *conn, r protocol.Request) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	pending := &call{request: r, sent: now, over: make(chan outcome, 1)}
	if r.Timeout.Declared {
		pending.deadline = now.Add(r.Timeout.Duration)
	}
	if d, ok := ctx.Deadline(); ok && (pending.deadline.IsZero() || d.Before(pending.deadline)) {
		pending.deadline = d
	}
	first := !cn.used
	cn.used = true
	cn.ledger.begin(r)
	cn.at = pending
	switch {
	case cn.dead == nil:
	case cn.expired(now):
		cn.finish(outcome{err: ErrTimeout, at: now}, false)
	case first && cn.refusal != nil:
		o := outcome{reply: *cn.refusal, at: now}
		if ruled := judge(&r, o.reply); ruled.kind != isAnswer {
			o.err = &WrongReplyError{Reply: cn.refusal, Problem: ruled.problem}
		}
		cn.finish(o, true)
	default:
		cn.finish(outcome{err: cn.dead, at: now}, false)
	}
	return pending
}
