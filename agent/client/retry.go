package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// DefaultRetryFor is the default of Options.RetryFor.
const DefaultRetryFor = time.Minute

// The pause after a request was tried at each address, and before it is tried again, is between half of a
// bound and the bound, which starts at minPause and doubles up to maxPause.
const (
	minPause = 50 * time.Millisecond
	maxPause = time.Second
)

// A RetryCause says why a request is tried again.
type RetryCause string

// The causes. The last three are the reason of the reply.
const (
	// RetryLost: the connection was lost before the reply came, or since the request before.
	RetryLost RetryCause = "lost"
	// RetryUnreachable: connecting failed.
	RetryUnreachable RetryCause = "unreachable"
	// RetryBusy: the agent has reached a limit, or cannot store the session at present.
	RetryBusy = RetryCause(protocol.Busy)
	// RetryStopping: the agent stops.
	RetryStopping = RetryCause(protocol.ShuttingDown)
	// RetryValidator: a validator gave no verdict.
	RetryValidator = RetryCause(protocol.ValidatorUnavailable)
)

// A Retry is a try that got no verdict.
type Retry struct {
	// Request is the request, with its req.
	Request protocol.Request
	Cause   RetryCause
	// Address is the address that was tried.
	Address string
	// Err is the error of the try; nil if the agent replied. Reply is that reply; nil for none.
	Err   error
	Reply *protocol.Reply
	// At is when the try failed: when the reply arrived or the connection was lost.
	At time.Time
	// Took is the time from the first sending to At. Before the first sending it is the time since the
	// connection was lost or the first try to make one.
	Took time.Duration
	// Tries is how often the request has been sent so far; 0 if there was no connection to send it over.
	Tries int
}

// An exchange sends one request, again if necessary. The caller of its methods holds the turn.
type exchange struct {
	*Client
	request protocol.Request // with its req
	result  Result
	began   time.Time // of the first try
	// deadline is that of the request, counted from the first sending; zero for none.
	deadline time.Time
	// failed is when the first try failed that got no verdict; away the same since the last sending. Both
	// are zero for none. lost is since when the connection is lost that was idle, as far as no request before
	// has counted it.
	failed, away, lost time.Time
	// last is the outcome of the last try that was sent.
	last outcome
	// tried is how many addresses were tried since the last pause; bound is that of the next pause.
	tried int
	bound time.Duration
	// final is how many tries in a row had an error that is final for their address.
	final int
}

// run tries until there is a verdict or the time is over.
func (x *exchange) run(ctx context.Context) (Result, error) {
	x.began = time.Now()
	x.noticeLoss()
	for {
		tried := x.try(ctx)
		cause := x.cause(ctx, tried)
		if cause == "" {
			return x.end(tried)
		}
		x.move()
		if final := x.wait(ctx, cause, tried, x.pause()); final != nil {
			return x.end(*final)
		}
	}
}

// pause returns how long to wait before the next try: not at all until each address was tried.
func (x *exchange) pause() time.Duration {
	if x.tried++; x.tried < len(x.addresses) {
		return 0
	}
	x.tried = 0
	bound := max(x.bound, minPause)
	x.bound = min(2*bound, maxPause)
	return bound/2 + rand.N(bound/2+1)
}

// end returns the result of the exchange.
func (x *exchange) end(o outcome) (Result, error) {
	if !x.away.IsZero() {
		x.awayUntil = time.Now()
		x.result.Away += x.awayUntil.Sub(x.away)
	}
	x.result.Reply, x.result.Done = o.reply, o.at
	return x.result, o.err
}

// noticeLoss reports that the connection was lost since the request before, and goes on to the next address.
func (x *exchange) noticeLoss() {
	x.mu.Lock()
	cn, retries := x.conn, x.retries() && x.echoed
	lost, cause, address := cn.lostIdle, cn.closed, x.addresses[cn.at]
	x.mu.Unlock()
	if lost.IsZero() || !retries {
		return
	}
	if x.lost = lost; x.awayUntil.After(lost) {
		x.lost = x.awayUntil
	}
	x.report(Retry{Request: x.result.Request, Cause: RetryLost, Address: address, Err: cause, At: lost, Took: time.Since(lost)})
	x.move()
}

// retries reports whether the request may be sent more than once.
func (x *exchange) retries() bool {
	return x.opts.RetryFor > 0 && !x.opts.NoReq && !x.result.Request.Req.IsZero()
}

// cause returns why the request should be tried again; empty if it should not. A request that was sent
// is sent again only to an agent that has sent a req back, and so recognizes it. It may have been judged
// if the connection was lost, and agents remember the reqs of named sessions alone.
func (x *exchange) cause(ctx context.Context, o outcome) RetryCause {
	x.mu.Lock()
	closed, safe := x.closed, x.echoed || !o.sent && x.result.Tries == 0
	x.mu.Unlock()
	if x.final++; !isFinal(o.err) {
		x.final = 0
	}
	if closed || !safe || !x.retries() || ctx.Err() != nil || x.final == len(x.addresses) {
		return ""
	}
	switch reason := o.reply.Reason; {
	case o.err == nil && !o.reply.OK():
		if reason == protocol.Busy || reason == protocol.ShuttingDown || reason == protocol.ValidatorUnavailable {
			return RetryCause(reason)
		}
	case o.sent && errors.Is(o.err, ErrConnectionLost) && x.request.Session != "":
		return RetryLost
	case !o.sent && errors.Is(o.err, ErrUnreachable):
		return RetryUnreachable
	}
	return ""
}

// isFinal reports whether an error of Options.Dial, or of a connection, says that trying the same address
// again is of no use.
func isFinal(err error) bool {
	final, ok := errors.AsType[interface {
		error
		Final() bool
	}](err)
	return ok && final.Final()
}

// wait reports a try that got no verdict, and waits until the next. If the time is over, it returns the
// outcome of the request.
func (x *exchange) wait(ctx context.Context, cause RetryCause, o outcome, pause time.Duration) *outcome {
	now := time.Now()
	if x.failed.IsZero() {
		x.failed = now
	}
	final := o
	if x.result.Tries > 0 {
		final = x.last
	}
	limit, unanswered := x.limit(), x.result.Tries > 0 && final.err != nil
	expires := !x.deadline.IsZero() && !x.deadline.After(limit)
	over := !now.Add(pause).Before(limit)
	if over && (!unanswered || !expires) {
		return &final
	}
	x.note(cause, o)
	if over {
		pause = limit.Sub(now)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return &outcome{err: contextError(ctx), at: time.Now()}
	}
	if over {
		return &outcome{err: ErrTimeout, at: time.Now()}
	}
	return nil
}

// limit returns when the last try may begin.
func (x *exchange) limit() time.Time {
	limit, deadline := x.failed.Add(x.opts.RetryFor), x.deadline
	if timeout := x.result.Request.Timeout; x.result.Tries == 0 && timeout.Declared {
		deadline = x.began.Add(timeout.Duration)
	}
	if !deadline.IsZero() && deadline.Before(limit) {
		return deadline
	}
	return limit
}

// note notes since when the agent is away, and reports the try.
func (x *exchange) note(cause RetryCause, o outcome) {
	if x.away.IsZero() {
		if x.away = o.at; !x.lost.IsZero() && x.result.Tries == 0 {
			x.away = x.lost
		}
	}
	since := x.result.Sent
	if x.result.Tries == 0 {
		since = x.began
	}
	retry := Retry{Request: x.result.Request, Cause: cause, Address: o.address, Err: o.err, At: o.at, Took: o.at.Sub(since), Tries: x.result.Tries}
	if o.err == nil {
		retry.Reply = &o.reply
	}
	x.report(retry)
	if cause == RetryStopping {
		_ = x.disconnect() // the next try finds that the Client was closed
	}
}

// report calls Options.OnRetry.
func (x *exchange) report(r Retry) {
	if x.opts.OnRetry != nil {
		x.opts.OnRetry(r)
	}
}
