package server

import "time"

// A deadline is one that is put off at nearly every message, which would cost more than
// reading it. So the connection keeps the one that it was told before, as long as that comes
// first, and is told the true one when that has passed.
type deadline struct {
	at   time.Time // the true one
	told time.Time // what the connection knows; zero for none
}

// put puts the deadline to a time.
func (d *deadline) put(at time.Time, tell func(time.Time) error) {
	d.at = at
	if d.told.IsZero() || at.Before(d.told) {
		d.told = at
		_ = tell(at) // fails only when closed
	}
}

// early reports whether what has passed was not the true deadline, which the connection then
// is told.
func (d *deadline) early(now time.Time, tell func(time.Time) error) bool {
	if !now.Before(d.at) {
		return false
	}
	d.told = d.at
	_ = tell(d.at) // fails only when closed
	return true
}
