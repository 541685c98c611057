package server

import (
	"os"
	"time"
)

// A deadline is put off at nearly every message, and setting it on the connection each time would
// cost more than reading the message. So an earlier one stays set, and is extended when it passes.
type deadline struct {
	at    time.Time // the deadline
	armed time.Time // set on the connection, at or before it; zero for none
}

// extend moves the deadline. The connection has to time out at check if that is earlier.
func (d *deadline) extend(at, check time.Time, arm func(time.Time) error) {
	d.at = at
	if check.After(at) {
		check = at
	}
	if d.armed.IsZero() || check.Before(d.armed) {
		d.armed = check
		_ = arm(check) // fails only when closed
	}
}

// timedOut handles a timeout of the connection: os.ErrDeadlineExceeded if the deadline has passed;
// else nil, and the connection times out again at check or at the deadline.
func (d *deadline) timedOut(now, check time.Time, arm func(time.Time) error) error {
	if !now.Before(d.at) {
		return os.ErrDeadlineExceeded
	}
	if check.After(d.at) {
		check = d.at
	}
	d.armed = check
	_ = arm(check) // fails only when closed
	return nil
}
