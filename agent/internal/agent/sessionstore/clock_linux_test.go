package sessionstore

import (
	"testing"
	"time"
)

// TestTimes: what becomes of a time that was stored 3 s before the machine or the agent was away for
// a minute.
func TestTimes(t *testing.T) {
	const away = time.Minute
	for name, test := range map[string]struct {
		boot           byte
		synced, before bool // the wall clock, now and when the record was stored
		jump           time.Duration
		want           Times
		ago            time.Duration
	}{
		"the same boot":            {1, false, false, 0, TimesExact, 63 * time.Second},
		"the clock was set":        {1, true, true, -time.Hour, TimesExact, 63 * time.Second},
		"a reboot":                 {2, true, true, 0, TimesByWall, 63 * time.Second},
		"not synchronized now":     {2, false, true, 0, TimesUnknown, 0},
		"not synchronized before":  {2, true, false, 0, TimesUnknown, 0},
		"a clock that went back":   {2, true, true, -time.Hour, TimesUnknown, 0},
		"unknown stays unknown":    {2, false, false, 0, TimesUnknown, 0},
		"a reboot, and a new time": {2, true, true, time.Hour, TimesByWall, time.Hour + 63*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			d := newMemoryDisk()
			c := testClock(1)
			c.isSynced = func() bool { return test.before }
			f := open(t, Options{PowerCut: true, disk: d, clock: c})
			r := record("a", 1)
			r.Replied = c.opened.Add(-3 * time.Second)
			r.Began, r.GapFrom, r.GapTo = r.Replied.Add(-time.Second), r.Replied.Add(time.Second), time.Time{}
			store(t, f, r, 0)
			later := testClock(test.boot)
			later.opened = time.Unix(0, c.opened.Add(away+test.jump).UnixNano()) // the wall clock
			later.mono = c.mono + away
			if test.boot != 1 {
				later.mono = away
			}
			later.isSynced = func() bool { return test.synced }
			for range 2 { // the second start is of the same boot
				f = open(t, Options{PowerCut: true, disk: d.clone(), clock: later})
				got := f.Restored()[0]
				if ago := later.opened.Sub(got.Replied); got.Times != test.want || (ago-test.ago).Abs() > time.Millisecond {
					t.Errorf("replied %v ago, times %d; want %v, %d", ago, got.Times, test.ago, test.want)
				}
				if began, gap := got.Replied.Sub(got.Began), got.GapFrom.Sub(got.Replied); began != time.Second || gap != time.Second ||
					!got.GapTo.IsZero() {
					t.Errorf("distances %v, %v, %v", began, gap, got.GapTo)
				}
				d = f.disk.(*memoryDisk)
			}
		})
	}
}
