package session

import "time"

// A Clock tells a Manager the time. The agent's is the system's; what a capture holds is
// judged again by a clock that shows the times of its packets.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f, once, when d has passed, as time.AfterFunc does. f may block.
	AfterFunc(d time.Duration, f func()) Timer
}

// A Timer is a call that is to come. *time.Timer is one, and says what the methods do.
type Timer interface {
	Reset(d time.Duration) bool
	Stop() bool
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }
