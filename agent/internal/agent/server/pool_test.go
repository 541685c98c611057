package server

import (
	"bytes"
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestPool: functions run at the same time, on goroutines that are used again and end when they are idle for long.
func TestPool(t *testing.T) {
	const functions = 20
	for name, c := range map[string]struct {
		pause time.Duration
		stop  bool
		want  int // goroutines of two rounds of functions
	}{
		"used again": {maxIdle / 2, false, functions},
		"ended":      {maxIdle * 2, false, 2 * functions},
		"stopped":    {maxIdle / 2, true, 2 * functions},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				p := newPool()
				var mu sync.Mutex
				seen, running := map[string]bool{}, 0
				for range 2 {
					release := make(chan struct{})
					for range functions {
						p.run(ctx, func() {
							header := make([]byte, 64) // "goroutine 7 [running]:"
							header = header[:runtime.Stack(header, false)]
							mu.Lock()
							seen[string(bytes.Fields(header)[1])] = true
							running++
							mu.Unlock()
							<-release
						})
					}
					synctest.Wait()
					if running != functions {
						t.Errorf("%d functions run", running)
					}
					running = 0
					close(release)
					if c.stop {
						cancel()
					}
					time.Sleep(c.pause)
				}
				if len(seen) != c.want {
					t.Errorf("%d goroutines, want %d", len(seen), c.want)
				}
			})
		})
	}
}
