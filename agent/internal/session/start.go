package session

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/judge"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A Starter is a Judge that need not be waited for. *judge.Judge is one, and says what Start
// does.
type Starter interface {
	Judge
	Start(ctx context.Context, p *judge.Pending, session judge.Session, step judge.Step, to judge.Client) *judge.Chain
}

// A Client gets the answer to a request for which nobody waits. Its methods must not wait.
type Client interface {
	Answered(req protocol.Request, arrived time.Time, answer Answer)
	// Failed tells of a panic, in the place of an answer.
	Failed(panicked any, stack []byte)
}

// A flight is a request that is being judged while nobody waits.
type flight struct {
	ctx     context.Context
	conn    *Conn
	seat    *seat
	req     protocol.Request
	arrived time.Time
	to      Client
	pending judge.Pending
}

var flights = sync.Pool{New: func() any { return new(flight) }}

// Start is Do for a client that does not wait: the answer comes to it exactly once, from any
// goroutine, and perhaps before Start returns. Until then no other request may come. The step is
// not sent before the chain that is returned is flushed; nil needs no flush. False means that
// nothing has been done, as the request would have to wait for something or the context has ended:
// then use Do. Panics of the judge are as in Do; one after Start has returned comes to Client.Failed.
func (c *Conn) Start(ctx context.Context, req protocol.Request, arrived time.Time, to Client) (*judge.Chain, bool) {
	m := c.manager
	if m.starter == nil || ctx.Err() != nil || req.Session == "" && !c.begun { // which may have to wait for a takeover
		return nil, false
	}
	s := c.seat(ctx, req, arrived)
	if !s.tryTake() {
		m.release(s)
		return nil, false
	}
	f := flights.Get().(*flight)
	f.ctx, f.conn, f.seat, f.req, f.arrived, f.to = ctx, c, s, req, arrived, to
	return f.start()
}

func (f *flight) start() (flush *judge.Chain, ok bool) {
	c, s, over := f.conn, f.seat, true
	defer func() { // after a panic too
		if over {
			c.exit(s)
		}
	}()
	answer, next := c.enter(f.ctx, s, f.req, f.arrived)
	if next == gone {
		f.recycle()
		return nil, false
	}
	if next == answered {
		over = false
		f.answer(answer, nil)
		return nil, true
	}
	now := s.session
	flush = c.manager.starter.Start(f.ctx, &f.pending, now.state(), now.step(f.req, f.arrived), f)
	over = flush == nil
	return flush, flush != nil
}

// Judged implements judge.Client.
func (f *flight) Judged(j judge.Judgement) { f.answer(f.settle(j)) }

func (f *flight) settle(j judge.Judgement) (answer Answer, failed *failure) {
	defer func() {
		if p := recover(); p != nil {
			failed = &failure{p, debug.Stack()}
		}
	}()
	return f.conn.settle(f.ctx, f.seat, f.req, f.arrived, j), nil
}

// A failure is a panic and where it came from.
type failure struct {
	panicked any
	stack    []byte
}

// answer gives the turn back, and the client its answer.
func (f *flight) answer(answer Answer, failed *failure) {
	f.conn.exit(f.seat)
	to, req, arrived := f.to, f.req, f.arrived
	f.recycle()
	if failed != nil {
		to.Failed(failed.panicked, failed.stack)
		return
	}
	to.Answered(req, arrived, answer)
}

func (f *flight) recycle() {
	f.ctx, f.conn, f.seat, f.req, f.to = nil, nil, nil, protocol.Request{}, nil
	flights.Put(f)
}
