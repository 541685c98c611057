package server

import (
	"context"
	"sync/atomic"
)

// maxIdle bounds the goroutines of a pool that wait for work. Each takes a few KiB.
const maxIdle = 256

// A pool runs functions on goroutines that it uses again: a new one has to grow its stack first, which costs a
// sixth of a step that asks a plugin. It is safe for concurrent use.
type pool struct {
	next chan func() // to an idle goroutine
	idle atomic.Int32
}

func newPool() *pool { return &pool{next: make(chan func())} }

// run runs f on an idle goroutine or a new one, which waits for more work until the context ends.
func (p *pool) run(ctx context.Context, f func()) {
	select {
	case p.next <- f:
	default:
		go p.work(ctx, f)
	}
}

func (p *pool) work(ctx context.Context, f func()) {
	for {
		f()
		if p.idle.Add(1) > maxIdle {
			p.idle.Add(-1)
			return
		}
		select {
		case f = <-p.next:
			p.idle.Add(-1)
		case <-ctx.Done():
			return
		}
	}
}
