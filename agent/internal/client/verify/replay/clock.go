package replay

import (
	"container/heap"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
)

// A clock is a session.Clock that shows the times of packets. It runs due timers when it is
// advanced and stands still otherwise. It is for one goroutine.
type clock struct {
	now    time.Time
	timers timers
	made   int
}

type timer struct {
	clock *clock
	at    time.Time
	call  func()
	order int // among timers due at the same time, in the order in which they were made
	index int // in the heap, -1 when stopped
}

// timers is a heap with the timer that is due first in front.
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

// Now returns the time to which the clock was advanced.
func (c *clock) Now() time.Time { return c.now }

// AfterFunc calls f when the clock is advanced by d or more.
func (c *clock) AfterFunc(d time.Duration, f func()) session.Timer {
	c.made++
	t := &timer{clock: c, call: f, order: c.made, index: -1}
	t.Reset(d)
	return t
}

// Reset starts the timer anew.
func (t *timer) Reset(d time.Duration) bool {
	active := t.Stop()
	t.at = t.clock.now.Add(d)
	heap.Push(&t.clock.timers, t)
	return active
}

// Stop stops the timer and reports whether it was active.
func (t *timer) Stop() bool {
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.clock.timers, t.index)
	return true
}

// advance runs the timers that are due by a time and sets the clock to it. The clock never
// goes back: packets may be slightly out of order.
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
