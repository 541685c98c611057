package replay

import (
	"cmp"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
)

// A clock is a session.Clock that shows the times of packets. It runs due timers when it is
// advanced and stands still otherwise. It is for one goroutine.
type clock struct {
	now    time.Time
	timers []*timer // the active ones, in the order in which they are due
	made   int
}

type timer struct {
	clock *clock
	at    time.Time
	call  func()
	order int // among timers due at the same time, in the order in which they were made
}

func compareTimers(a, b *timer) int {
	return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.order, b.order))
}

// Now returns the time to which the clock was advanced.
func (c *clock) Now() time.Time { return c.now }

// AfterFunc calls f when the clock is advanced by d or more.
func (c *clock) AfterFunc(d time.Duration, f func()) session.Timer {
	c.made++
	t := &timer{clock: c, call: f, order: c.made}
	t.Reset(d)
	return t
}

// Reset starts the timer anew.
func (t *timer) Reset(d time.Duration) bool {
	active := t.Stop()
	t.at = t.clock.now.Add(d)
	i, _ := slices.BinarySearchFunc(t.clock.timers, t, compareTimers)
	t.clock.timers = slices.Insert(t.clock.timers, i, t)
	return active
}

// Stop stops the timer and reports whether it was active.
func (t *timer) Stop() bool {
	i, active := slices.BinarySearchFunc(t.clock.timers, t, compareTimers)
	if active {
		t.clock.timers = slices.Delete(t.clock.timers, i, i+1)
	}
	return active
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
