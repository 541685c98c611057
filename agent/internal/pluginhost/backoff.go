package pluginhost

import "time"

// A backoff says how long to wait before the next start. The first start after a process
// that lasted comes at once; the waits between further ones double from min to max.
type backoff struct {
	min, max, lasting time.Duration
	failures          int // starts in a row that did not last
}

// next returns the wait, given how long the last process served: 0 when it did not start.
// random is from [0, 1) and spreads the waits by up to half of each, so that plugins that
// fell together do not start together.
func (b *backoff) next(served time.Duration, random float64) time.Duration {
	if served >= b.lasting {
		b.failures = 0
	}
	b.failures++
	if b.failures == 1 {
		return 0
	}
	// 20 doublings are past any max; more would overflow.
	wait := b.min << min(b.failures-2, 20)
	wait += time.Duration(random * float64(wait) / 2)
	return min(wait, b.max)
}
