package server

import (
	"context"
	"time"
)

// maxIdle is how long a goroutine of a pool waits for more work.
const maxIdle = time.Second

// A pool runs functions on goroutines that it uses again: a new one has to grow its stack first, which costs a
// sixth of a step that asks a plugin. It is safe for concurrent use.
type pool struct {
	next chan func() // to an idle goroutine
}

func newPool() *pool { return &pool{next: make(chan func())} }

// run runs f on an idle goroutine or a new one, which then waits for more work, but not after the context ends.
func (p *pool) run(ctx context.Context, f func()) {
	select {
	case p.next <- f:
	default:
		go p.work(ctx, f)
	}
}

func (p *pool) work(ctx context.Context, f func()) {
	idle := time.NewTimer(maxIdle)
	defer idle.Stop()
	for {
		f()
		idle.Reset(maxIdle)
		select {
		case f = <-p.next:
		case <-idle.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
