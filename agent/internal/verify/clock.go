package verify

import (
	"time"

	"github.com/stepagent/stepagent/agent/internal/session"
)

// A clock shows the time of the packets. It stands still between them, and calls what was to
// be called meanwhile. It is for one goroutine.
type clock struct {
	now    time.Time
	timers map[*timer]struct{}
	made   int
	// quiet is a time before which no timer is due.
	quiet time.Time
}

type timer struct {
	clock *clock
	at    time.Time
	call  func()
	order int // of timers for the same moment, the one that was made first is first
}

func newClock() *clock { return &clock{timers: map[*timer]struct{}{}} }

// Now returns the time of the packet at hand.
func (c *clock) Now() time.Time { return c.now }

// AfterFunc has f called when the clock goes past that time.
func (c *clock) AfterFunc(d time.Duration, f func()) session.Timer {
	c.made++
	t := &timer{clock: c, call: f, order: c.made}
	t.Reset(d)
	return t
}

// Reset sets the timer anew.
func (t *timer) Reset(d time.Duration) bool {
	was := t.Stop()
	t.at = t.clock.now.Add(d)
	t.clock.timers[t] = struct{}{}
	if t.at.Before(t.clock.quiet) {
		t.clock.quiet = t.at
	}
	return was
}

// Stop takes the timer back.
func (t *timer) Stop() bool {
	_, was := t.clock.timers[t]
	delete(t.clock.timers, t)
	return was
}

// advance goes on to a time. It never goes back: packets may be a little out of order.
func (c *clock) advance(to time.Time) {
	for !c.quiet.After(to) {
		next := c.next()
		if next == nil {
			c.quiet = to.Add(time.Nanosecond)
			break
		}
		if c.quiet = next.at; next.at.After(to) {
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

// next returns the timer that is due first, nil when none is set.
func (c *clock) next() *timer {
	var first *timer
	for t := range c.timers {
		if first == nil || t.at.Before(first.at) || t.at.Equal(first.at) && t.order < first.order {
			first = t
		}
	}
	return first
}
