package replay

import (
	"slices"
	"testing"
	"time"
)

// TestClock: what is to be called is called in the order of its time, at that time, and once.
func TestClock(t *testing.T) {
	c, start := &clock{}, time.Unix(1000, 0)
	c.advance(start)
	var got []time.Duration
	note := func() { got = append(got, c.Now().Sub(start)) }
	c.AfterFunc(3*time.Second, note)
	second := c.AfterFunc(2*time.Second, note)
	c.AfterFunc(time.Second, func() { note(); second.Reset(4 * time.Second) })
	stopped := c.AfterFunc(time.Second, note)
	if !stopped.Stop() || stopped.Stop() {
		t.Error("a timer is stopped once")
	}
	c.advance(start.Add(500 * time.Millisecond))
	if len(got) > 0 {
		t.Errorf("called at %v", got)
	}
	c.advance(start.Add(10 * time.Second))
	if want := []time.Duration{time.Second, 3 * time.Second, 5 * time.Second}; !slices.Equal(got, want) {
		t.Errorf("called at %v, want %v", got, want)
	}
	c.AfterFunc(time.Second, note)
	c.advance(start) // packets may be out of order
	if c.Now() != start.Add(10*time.Second) || len(got) != 3 {
		t.Errorf("it is %v", c.Now().Sub(start))
	}
	c.advance(start.Add(11 * time.Second))
	if len(got) != 4 || second.Reset(time.Hour) {
		t.Errorf("called at %v", got)
	}
}
