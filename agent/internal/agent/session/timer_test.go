package session_test

import (
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
)

// A countingClock is the bubble's, and counts how often a timer is set.
type countingClock struct{ set *atomic.Int64 }

func (c countingClock) Now() time.Time { return time.Now() }

func (c countingClock) AfterFunc(d time.Duration, f func()) session.Timer {
	c.set.Add(1)
	return countingTimer{time.AfterFunc(d, f), c.set}
}

type countingTimer struct {
	*time.Timer
	set *atomic.Int64
}

func (t countingTimer) Reset(d time.Duration) bool {
	t.set.Add(1)
	return t.Timer.Reset(d)
}

// TestStepsDoNotTouchTheTimer: it is set when a session begins, when it goes off too early,
// and when the deadline comes nearer.
func TestStepsDoNotTouchTheTimer(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "bench-7"} {
		synctest.Test(t, func(t *testing.T) {
			set := &atomic.Int64{}
			o := options
			o.Steps, o.TakeoverWait = 1000, 0
			a := &agent{TB: t, Manager: session.NewManagerAt(countingClock{set}, counting{}, o, slog.New(slog.DiscardHandler))}
			times := func(want int64) {
				t.Helper()
				if got := set.Swap(0); got != want {
					t.Errorf("the timer was set %d times, want %d", got, want)
				}
			}
			c := a.connect(here)
			for id := range int64(50) {
				a.want(ok(id+1), do(c, named(name, id+1)))
				time.Sleep(time.Second)
			}
			times(1)
			time.Sleep(options.IdleTimeout - time.Second - 1) // the deadline is 60 s after the last step
			synctest.Wait()
			if got := a.Stats().Open; got != 1 {
				t.Error("the session has ended before its time")
			}
			times(1)
			a.want(ok(51), do(c, named(name, 51)))
			times(0)
			time.Sleep(time.Second)
			synctest.Wait()
			times(1)
			c.Close()
			times(1)
			time.Sleep(options.ResumeWindow)
			a.check()
			if got := a.Stats(); got.Open != 0 || got.Incomplete != 1 {
				t.Errorf("after the window: %+v", got)
			}
			a.expire()
		})
	}
}
