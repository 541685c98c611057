package verify

import (
	"container/heap"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
)

// A clock shows the time of the packets. It stands still between them, and calls what was to
// be called meanwhile. It is for one goroutine.
type clock struct {
	now    time.Time
	timers timers
	made   int
}

type timer struct {
	clock *clock
	at    time.Time
	call  func()
	order int // of timers for the same moment, the one that was made first is first
	index int // in the heap, -1 for stopped
}

// timers is a heap, of which the timer that is due first is the first.
type timers []*timer

func (t timers) Len() int { return len(t) }
func (t timers) Less(i, j int) bool {
	return t[i].at.Before(t[j].at) || t[i].at.Equal(t[j].at) && t[i].order < t[j].order
}
func (t timers) Swap(i, j int) { t[i], t[j] = t[j], t[i]; t[i].index, t[j].index = i, j }
func (t *timers) Push(x any)   { one := x.(*timer); one.index = len(*t); *t = append(*t, one) }
func (t *timers) Pop() any {
	last := (*t)[len(*t)-1]
	last.index = -1
	(*t)[len(*t)-1] = nil
	*t = (*t)[:len(*t)-1]
	return last
}

func newClock() *clock { return &clock{} }

// Now returns the time of the packet at hand.
func (c *clock) Now() time.Time { return c.now }

// AfterFunc has f called when the clock goes past that time.
func (c *clock) AfterFunc(d time.Duration, f func()) session.Timer {
	c.made++
	t := &timer{clock: c, call: f, order: c.made, index: -1}
	t.Reset(d)
	return t
}

// Reset sets the timer anew.
func (t *timer) Reset(d time.Duration) bool {
	was := t.Stop()
	t.at = t.clock.now.Add(d)
	heap.Push(&t.clock.timers, t)
	return was
}

// Stop takes the timer back.
func (t *timer) Stop() bool {
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.clock.timers, t.index)
	return true
}

// advance goes on to a time. It never goes back: packets may be a little out of order.
func (c *clock) advance(to time.Time) {
	for len(c.timers) > 0 && !c.timers[0].at.After(to) {
		next := c.timers[0]
		next.Stop()
		if next.at.After(c.now) {
			c.now = next.at
		}
		next.call()
	}
	if to.After(c.now) {
		c.now = to
	}
}
