package client

import (
	"context"
	"errors"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// minWriteTime is how long a request may take to be written, however short its timeout is:
// a step that waits for nothing is sent all the same.
const minWriteTime = 100 * time.Millisecond

// write sends the request. It reports whether the connection can carry another one: nothing
// can follow a request that was cut.
//
// The call goes on when the writing fails. The reader ends it, because it may find a refusal
// that the agent sent before it closed the connection.
func (c *Client) write(ctx context.Context, cn *conn, pending *call) (whole bool) {
	message := protocol.AppendRequest(nil, pending.request)
	if c.opts.Plain {
		message = message[:len(message)-1] // the newline
	}
	deadline := pending.deadline
	if soonest := pending.sent.Add(minWriteTime); !deadline.IsZero() && deadline.Before(soonest) {
		deadline = soonest
	}
	// That a deadline cannot be set means that the socket is closed, which Write says too.
	_ = cn.socket.SetWriteDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = cn.socket.SetWriteDeadline(time.Unix(1, 0)) })
	_, err := cn.socket.Write(message)
	// A deadline that was set by the context, or may still be, is in the way of the next.
	return stop() && err == nil
}

// await waits until the call is over, gives it up when its time is, and returns what it came
// to.
func (c *Client) await(ctx context.Context, cn *conn, pending *call) outcome {
	var expiry <-chan time.Time
	if !pending.deadline.IsZero() {
		timer := time.NewTimer(time.Until(pending.deadline))
		defer timer.Stop()
		expiry = timer.C
	}
	var why error
	select {
	case o := <-pending.over:
		return o
	case <-expiry:
		why = ErrTimeout
	case <-ctx.Done():
		why = gaveUp(ctx)
	}
	c.mu.Lock()
	if cn.at == pending {
		cn.finish(outcome{err: why, at: time.Now()}, false)
	}
	c.mu.Unlock()
	return <-pending.over
}

// gaveUp is the error of a request whose context has ended.
func gaveUp(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ErrTimeout
	}
	return context.Cause(ctx)
}
