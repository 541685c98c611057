package client

import (
	"context"
	"errors"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// minWriteTime is the least time for writing a request, even if its timeout is shorter, so that a
// step with a timeout of 0 is sent too.
const minWriteTime = 100 * time.Millisecond

// write sends the request. It reports whether the whole request was written; otherwise nothing may
// follow on the connection.
//
// A failed write does not complete the call. The reader does, because it may still find a refusal
// that the agent sent before it closed the connection.
func (c *Client) write(ctx context.Context, cn *conn, pending *call) (whole bool) {
	message := protocol.AppendRequest(nil, pending.request)
	if c.opts.Plain {
		message = message[:len(message)-1] // the newline
	}
	deadline := pending.deadline
	if soonest := time.Now().Add(minWriteTime); !deadline.IsZero() && deadline.Before(soonest) {
		deadline = soonest
	}
	// Setting a deadline fails only on a closed socket, where Write fails too.
	_ = cn.socket.SetWriteDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = cn.socket.SetWriteDeadline(time.Unix(1, 0)) })
	_, err := cn.socket.Write(message)
	// If stop fails, the deadline that the context has set would affect the next request.
	return stop() && err == nil
}

// await returns the outcome of the call. It completes the call when the deadline passes or ctx ends.
func (c *Client) await(ctx context.Context, cn *conn, pending *call) outcome {
	var expiry <-chan time.Time
	if !pending.deadline.IsZero() {
		timer := time.NewTimer(time.Until(pending.deadline))
		defer timer.Stop()
		expiry = timer.C
	}
	var why error
	select {
	case o := <-pending.done:
		return o
	case <-expiry:
		why = ErrTimeout
	case <-ctx.Done():
		why = contextError(ctx)
	}
	c.mu.Lock()
	if cn.pending == pending {
		cn.complete(outcome{err: why, at: time.Now()}, false)
	}
	c.mu.Unlock()
	return <-pending.done
}

// contextError returns the error of a request whose context has ended.
func contextError(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ErrTimeout
	}
	return context.Cause(ctx)
}
