package pluginhost

import (
	"time"

	"golang.org/x/time/rate"
)

const (
	// usefulVerdicts is how many verdicts make a process worth its start, however soon after
	// it ends.
	usefulVerdicts = 16
	// usefulPerSecond and usefulBurst bound the starts that follow at once upon processes
	// that did not last and yet were of use: a plugin that crashes at every hundredth step
	// goes on judging, and does not take the machine for itself.
	usefulPerSecond = 20
	usefulBurst     = 40
	// breakAfter is how many processes in a row must fail for the breaker to open.
	breakAfter = 3
)

// A backoff says how long to wait before the next start. The first start after a process
// that lasted, or was of use, comes at once; the waits between further ones double from min
// to max.
type backoff struct {
	min, max, lasting time.Duration
	useful            *rate.Limiter
	failures          int // processes in a row that neither lasted nor were of use
}

func newBackoff(o Options) backoff {
	return backoff{min: o.BackoffMin, max: o.BackoffMax, lasting: o.Lasting,
		useful: rate.NewLimiter(usefulPerSecond, usefulBurst)}
}

// A life is what a process has done between its start and its end; the zero value is that of
// one that did not start.
type life struct {
	served   time.Duration
	verdicts uint64
}

// next returns the wait, given the life of the last process. random is from [0, 1) and
// spreads the waits by up to half of each, so that plugins that fell together do not start
// together.
func (b *backoff) next(now time.Time, last life, random float64) time.Duration {
	if last.served >= b.lasting || last.verdicts >= usefulVerdicts && b.useful.AllowN(now, 1) {
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

// open reports whether the breaker is open: steps are refused at once, and no longer wait for
// the next process.
func (b *backoff) open() bool { return b.failures > breakAfter }
