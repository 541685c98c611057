package server

import (
	"os"
	"time"
)

// A deadline is one that is put off at nearly every message, which would cost more than
// reading it. So the connection keeps the one that it was told before, as long as that comes
// first, and is told a later one when that has passed.
type deadline struct {
	at   time.Time // the true one
	told time.Time // what the connection knows; zero for none
}

// put puts the deadline to a time. The connection is to be looked at then, or before.
func (d *deadline) put(at, look time.Time, tell func(time.Time) error) {
	d.at = at
	if look.After(at) {
		look = at
	}
	if d.told.IsZero() || look.Before(d.told) {
		d.told = look
		_ = tell(look) // fails only when closed
	}
}

// early returns nil when what has passed was not the true deadline; then the connection is to
// be looked at again at the given time, or at the true one.
func (d *deadline) early(now, look time.Time, tell func(time.Time) error) error {
	if !now.Before(d.at) {
		return os.ErrDeadlineExceeded
	}
	if look.After(d.at) {
		look = d.at
	}
	d.told = look
	_ = tell(look) // fails only when closed
	return nil
}
