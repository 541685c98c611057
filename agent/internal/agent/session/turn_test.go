package session

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurnIsHeldByOne: of many who take it, give up or only try, one has it at a time, and in the end it
// is free.
func TestTurnIsHeldByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var turn turn
		var holders, taken, gaveUp atomic.Int32
		hold := func(d time.Duration) {
			if holders.Add(1) != 1 {
				t.Error("two have the turn")
			}
			taken.Add(1)
			time.Sleep(d)
			holders.Add(-1)
			turn.pass()
		}
		var all sync.WaitGroup
		for n := range 100 {
			all.Go(func() {
				time.Sleep(time.Duration(n%7) * time.Millisecond)
				if n%5 == 0 && turn.try() {
					hold(time.Millisecond)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n%11)*10*time.Millisecond)
				defer cancel()
				if turn.take(ctx) {
					hold(time.Duration(n%3) * time.Millisecond)
				} else {
					gaveUp.Add(1)
				}
			})
		}
		all.Wait()
		if taken.Load() < 50 || gaveUp.Load() < 5 {
			t.Errorf("%d had the turn and %d gave up; the test shows little", taken.Load(), gaveUp.Load())
		}
		if !turn.try() {
			t.Error("the turn is not free")
		}
		if turn.try() {
			t.Error("the turn is had twice")
		}
	})
}

// TestTurnComesInOrder of arrival, and passes over who has given up.
func TestTurnComesInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var turn turn
		turn.try()
		var order []int
		ending, end := context.WithCancel(t.Context())
		for n, ctx := range []context.Context{t.Context(), ending, t.Context()} {
			go func() {
				if turn.take(ctx) {
					order = append(order, n)
					turn.pass()
				}
			}()
			synctest.Wait()
		}
		end()
		synctest.Wait()
		turn.pass()
		synctest.Wait()
		if len(order) != 2 || order[0] != 0 || order[1] != 2 {
			t.Errorf("the turn came to %v, want 0 and 2", order)
		}
		if turn.take(ending) {
			t.Error("an ended context took the turn")
		}
	})
}
