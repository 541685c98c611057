package session_test

import (
	"container/heap"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
)

// A simClock is a clock that only its owner advances. It is for one goroutine.
type simClock struct {
	now    time.Time
	timers simTimers
}

func (c *simClock) Now() time.Time { return c.now }

func (c *simClock) AfterFunc(d time.Duration, f func()) session.Timer {
	t := &simTimer{clock: c, f: f, index: -1}
	t.Reset(d)
	return t
}

// advance lets the time pass, and calls what is due meanwhile.
func (c *simClock) advance(to time.Time) {
	for len(c.timers) > 0 && !c.timers[0].at.After(to) {
		t := heap.Pop(&c.timers).(*simTimer)
		if t.at.After(c.now) {
			c.now = t.at
		}
		t.f()
	}
	if to.After(c.now) {
		c.now = to
	}
}

// A simTimer is a timer of a simClock. Its index in simTimers is -1 while it is not set.
type simTimer struct {
	clock *simClock
	at    time.Time
	f     func()
	index int
}

func (t *simTimer) Reset(d time.Duration) bool {
	was := t.Stop()
	t.at = t.clock.now.Add(max(d, 0))
	heap.Push(&t.clock.timers, t)
	return was
}

func (t *simTimer) Stop() bool {
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.clock.timers, t.index)
	return true
}

// simTimers is a heap of the timers that are set, the next one first.
type simTimers []*simTimer

func (h simTimers) Len() int           { return len(h) }
func (h simTimers) Less(i, j int) bool { return h[i].at.Before(h[j].at) }

func (h simTimers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *simTimers) Push(x any) {
	t := x.(*simTimer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *simTimers) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	t.index = -1
	(*h)[last] = nil
	*h = (*h)[:last]
	return t
}
