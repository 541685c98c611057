package session

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurnIsExclusive: many goroutines lock it, give up or only try; one holds it at a time, and it is
// free in the end.
func TestTurnIsExclusive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var turn turn
		var holders, taken, gaveUp atomic.Int32
		hold := func(d time.Duration) {
			if holders.Add(1) != 1 {
				t.Error("two hold the turn")
			}
			taken.Add(1)
			time.Sleep(d)
			holders.Add(-1)
			turn.unlock()
		}
		var all sync.WaitGroup
		for n := range 100 {
			all.Go(func() {
				time.Sleep(time.Duration(n%7) * time.Millisecond)
				if n%5 == 0 && turn.tryLock() {
					hold(time.Millisecond)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n%11)*10*time.Millisecond)
				defer cancel()
				if turn.lock(ctx) {
					hold(time.Duration(n%3) * time.Millisecond)
				} else {
					gaveUp.Add(1)
				}
			})
		}
		all.Wait()
		if taken.Load() < 50 || gaveUp.Load() < 5 {
			t.Errorf("%d held the turn and %d gave up; the test shows little", taken.Load(), gaveUp.Load())
		}
		if !turn.tryLock() {
			t.Error("the turn is not free")
		}
		if turn.tryLock() {
			t.Error("the turn is held twice")
		}
	})
}

// TestTurnOrder is that of arrival, without waiters that have given up.
func TestTurnOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var turn turn
		turn.tryLock()
		var order []int
		ending, end := context.WithCancel(t.Context())
		for n, ctx := range []context.Context{t.Context(), ending, t.Context()} {
			go func() {
				if turn.lock(ctx) {
					order = append(order, n)
					turn.unlock()
				}
			}()
			synctest.Wait()
		}
		end()
		synctest.Wait()
		turn.unlock()
		synctest.Wait()
		if len(order) != 2 || order[0] != 0 || order[1] != 2 {
			t.Errorf("the turn came to %v, want 0 and 2", order)
		}
		if turn.lock(ending) {
			t.Error("an ended context locked the turn")
		}
	})
}
