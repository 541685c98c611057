package verify

import (
	"time"

	"github.com/stepagent/stepagent/agent/internal/session"
)

// A clock shows the time of the packets. It stands still between them, and calls what was to
// be called meanwhile. It is for one goroutine.
type clock struct {
	now    time.Time
	timers []*timer
}

type timer struct {
	clock *clock
	at    time.Time
	call  func()
	set   bool
}

// Now returns the time of the packet at hand.
func (c *clock) Now() time.Time { return c.now }

// AfterFunc has f called when the clock goes past that time.
func (c *clock) AfterFunc(d time.Duration, f func()) session.Timer {
	t := &timer{clock: c, call: f}
	t.Reset(d)
	return t
}

// Reset sets the timer anew.
func (t *timer) Reset(d time.Duration) bool {
	was := t.Stop()
	t.at, t.set = t.clock.now.Add(d), true
	t.clock.timers = append(t.clock.timers, t)
	return was
}

// Stop takes the timer back.
func (t *timer) Stop() bool {
	was := t.set
	t.set = false
	for i, other := range t.clock.timers {
		if other == t {
			last := len(t.clock.timers) - 1
			t.clock.timers[i] = t.clock.timers[last]
			t.clock.timers = t.clock.timers[:last]
			break
		}
	}
	return was
}

// advance goes on to a time. It never goes back: packets may be a little out of order.
func (c *clock) advance(to time.Time) {
	for {
		var next *timer
		for _, t := range c.timers {
			if !t.at.After(to) && (next == nil || t.at.Before(next.at)) {
				next = t
			}
		}
		if next == nil {
			break
		}
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
