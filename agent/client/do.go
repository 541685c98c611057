package client

import (
	"context"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A Result is the outcome of one request.
type Result struct {
	// Request is the request as it was sent, with its req.
	Request protocol.Request
	// Reply is the reply to Request; the zero value if there is an error.
	Reply protocol.Reply
	// Sent is when the request was about to be written the first time; zero if there was no connection.
	Sent time.Time
	// Done is when the reply arrived, or when the request failed.
	Done time.Time
	// Tries is how often the request was sent; 0 if there was no connection.
	Tries int
	// Address is the address that it was sent to last; empty if there was no connection.
	Address string
	// Away is how long the agent could not be reached or gave no verdict: the sum of the times from a
	// loss or refusal to the next sending, or to the end of the exchange. The times of several requests
	// do not overlap.
	Away time.Duration
}

// Do sends a request and returns the reply to it. It opens a new connection first where one is needed.
//
// If the request declares a Timeout, Do waits that long for the reply, counted from the first sending; a
// reply that arrives exactly then is late. Otherwise only ctx bounds the wait. ctx bounds the
// connecting too.
//
// If the connection is lost, cannot be made, or the reply is busy, shutting_down or
// validator_unavailable, Do sends the request again, with the same req and after a pause, see
// Options.RetryFor. The agent judges a req of a named session once and answers a repeated one from memory,
// so this is safe if the agent knows the req: it has to have sent one back before, to any request of the
// Client. With several addresses the next try goes to the next of them, see Client, and the agents there are
// taken to know reqs too. A request without a session is not sent again after its connection was lost: it may
// have been judged. A request whose connection cannot be made was not sent, so that is always safe. When the time for
// this is over, the outcome is that of the last sending, or ErrTimeout if no reply came and the Timeout has
// passed. A request is never sent again because its reply is late.
//
// The error matches, by errors.Is, ErrTimeout, ErrConnectionLost, ErrWrongReply or ErrUnreachable;
// if ctx was cancelled, it is the cause of ctx. A reply that refuses the step is not an error, see
// protocol.Reply.OK.
func (c *Client) Do(ctx context.Context, r protocol.Request) (protocol.Reply, error) {
	result, err := c.Exchange(ctx, r)
	return result.Reply, err
}

// Exchange is like Do, and also returns the request as it was sent and the times. They are set even
// if there is an error.
func (c *Client) Exchange(ctx context.Context, r protocol.Request) (Result, error) {
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return Result{Request: r, Done: time.Now()}, contextError(ctx)
	}
	r = c.withReq(r)
	x := &exchange{Client: c, request: r, result: Result{Request: r}}
	return x.run(ctx)
}

// try sends the request once to the address in use and waits for the reply.
func (x *exchange) try(ctx context.Context) outcome {
	c, r, address := x.Client, x.request, x.Address()
	cn, fresh, err := x.reach(ctx)
	if err != nil {
		return outcome{err: err, at: time.Now(), address: address}
	}
	if fresh && !c.opts.Plain && len(r.Data) <= maxNamedBytes {
		r.Client = c.opts.Name
	}
	if c.opts.OnSent != nil {
		c.opts.OnSent(r)
	}
	pending := c.begin(ctx, cn, r, x.result.Sent)
	x.sent(pending, address)
	whole := c.write(ctx, cn, pending)
	o := c.await(ctx, cn, pending)
	if !whole || c.opts.Plain {
		c.mu.Lock()
		cn.close(o.at)
		c.mu.Unlock()
	}
	o.sent, o.address = true, address
	x.last = o
	return o
}

// reach returns the connection for the request. After the first sending it waits for one until the
// request's deadline at most, and leaves as much time for each further address of the round.
func (x *exchange) reach(ctx context.Context) (cn *conn, fresh bool, err error) {
	if !x.deadline.IsZero() {
		left := time.Until(x.deadline) / time.Duration(len(x.addresses)-x.tried)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, left)
		defer cancel()
	}
	return x.connection(ctx, x.request)
}

// sent notes that the request is being sent.
func (x *exchange) sent(pending *call, address string) {
	if !x.away.IsZero() {
		x.result.Away += time.Since(x.away)
		x.away = time.Time{}
	}
	x.result.Request, x.result.Sent, x.result.Address = pending.request, pending.sent, address
	x.result.Tries++
	if timeout := pending.request.Timeout; timeout.Declared {
		x.deadline = pending.sent.Add(timeout.Duration)
	}
}

// maxNamedBytes is the length of the longest data of a request that carries the client's name, so
// that the name does not make a message too long.
const maxNamedBytes = 1024

// connection returns the connection for a request, a new one where the present one cannot carry it.
// fresh reports that it has carried no request. A connection that the agent refused before the
// first request carries that one, whose reply is the refusal.
func (c *Client) connection(ctx context.Context, r protocol.Request) (cn *conn, fresh bool, err error) {
	c.mu.Lock()
	cn = c.conn
	good := cn.at == c.at && (cn.closed == nil && cn.ledger.admits(r) || cn.refusal != nil && !cn.used)
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

// begin registers the call that waits for the reply. sent is when the request was sent first; zero for
// now. On a closed connection begin completes the call at once.
func (c *Client) begin(ctx context.Context, cn *conn, r protocol.Request, sent time.Time) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if sent.IsZero() {
		sent = now
	}
	pending := &call{request: r, sent: sent, done: make(chan outcome, 1)}
	if r.Timeout.Declared {
		pending.deadline = sent.Add(r.Timeout.Duration)
	}
	if d, ok := ctx.Deadline(); ok && (pending.deadline.IsZero() || d.Before(pending.deadline)) {
		pending.deadline = d
	}
	first := !cn.used
	cn.used = true
	cn.ledger.forget(r.Req)
	cn.pending = pending
	switch {
	case cn.closed == nil:
	case cn.expired(now):
		cn.complete(outcome{err: ErrTimeout, at: now}, false)
	case first && cn.refusal != nil:
		o := outcome{reply: *cn.refusal, at: now}
		if m := compare(&r, o.reply); m.kind != isAnswer {
			o.err = &WrongReplyError{Reply: cn.refusal, Problem: m.problem}
		}
		cn.complete(o, true)
	default:
		cn.complete(outcome{err: cn.closed, at: now}, false)
	}
	return pending
}
