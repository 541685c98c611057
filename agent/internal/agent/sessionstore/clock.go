package sessionstore

import "time"

// A bootID identifies one boot of the machine.
type bootID [16]byte

// A clock converts times of this process into those that are stored: readings of CLOCK_MONOTONIC,
// which are comparable within one boot, and of the wall clock.
type clock struct {
	boot   bootID
	opened time.Time     // when the store was opened
	mono   time.Duration // CLOCK_MONOTONIC at opened

	isSynced func() bool // asks the system
	checked  time.Time   // when it was last asked
	sync     bool        // its answer
}

// syncInterval is the least time between two questions whether the wall clock is synchronized.
const syncInterval = 10 * time.Second

// synced reports whether the wall clock was synchronized about the time now.
func (c *clock) synced(now time.Time) bool {
	if c.checked.IsZero() || now.Sub(c.checked) >= syncInterval {
		c.checked, c.sync = now, c.isSynced()
	}
	return c.sync
}

// at returns the clock of a reader that reads now what was stored; c must not be used meanwhile.
func (c *clock) at(now time.Time) *clock {
	return &clock{boot: c.boot, opened: now, mono: c.monotonic(now), isSynced: func() bool { return c.synced(now) }}
}

// monotonic returns what CLOCK_MONOTONIC was at the time t.
func (c *clock) monotonic(t time.Time) time.Duration { return c.mono + t.Sub(c.opened) }

// restore returns the time of this process for a time that was stored in the given boot: the reading
// of CLOCK_MONOTONIC and that of the wall clock, synchronized or not.
func (c *clock) restore(mono time.Duration, wall time.Time, synced bool, boot bootID) (time.Time, Times) {
	if boot == c.boot {
		return c.opened.Add(mono - c.mono), TimesExact
	}
	if ago := c.opened.Sub(wall); synced && c.synced(c.opened) && ago >= 0 {
		return c.opened.Add(-ago), TimesByWall
	}
	return c.opened, TimesUnknown
}
