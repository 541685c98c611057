package server

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestPool: all functions run at the same time, some of the goroutines are kept and used again, and none is left at the
// end.
func TestPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
		ctx, cancel := context.WithCancel(t.Context())
		p := newPool()
		var running atomic.Int32
		for range 2 {
			release := make(chan struct{})
			for range 2 * maxIdle {
				p.run(ctx, func() {
					running.Add(1)
					<-release
					running.Add(-1)
				})
			}
			synctest.Wait()
			if n := running.Load(); n != 2*maxIdle {
				t.Errorf("%d functions run", n)
			}
			if n := p.idle.Load(); n != 0 {
				t.Errorf("%d goroutines are idle", n)
			}
			close(release)
			synctest.Wait()
			if n := p.idle.Load(); n != maxIdle {
				t.Errorf("%d goroutines are kept", n)
			}
		}
		cancel()
	})
}
