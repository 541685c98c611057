package pluginhost

import (
	"time"

	"golang.org/x/time/rate"
)

const (
	// usefulVerdicts is how many verdicts make a process useful, however soon it ends after them.
	usefulVerdicts = 16
	// usefulPerSecond and usefulBurst bound the immediate restarts after processes that were useful
	// but did not last: a plugin that crashes at every hundredth step keeps judging and does not use
	// up the machine.
	usefulPerSecond = 20
	usefulBurst     = 40
	// breakAfter is how many processes in a row must fail for the breaker to open.
	breakAfter = 3
)

// A backoff computes the wait before the next start. The first start after a process that lasted or
// was useful follows at once; the waits before further ones double from min to max.
type backoff struct {
	min, max, lasting time.Duration
	useful            *rate.Limiter
	failures          int // processes in a row that neither lasted nor were useful
}

func newBackoff(o Options) backoff {
	return backoff{min: o.BackoffMin, max: o.BackoffMax, lasting: o.Lasting,
		useful: rate.NewLimiter(usefulPerSecond, usefulBurst)}
}

// A life is what a process did between its start and its end; zero for one that did not start.
type life struct {
	served   time.Duration
	verdicts uint64
}

// next returns the wait, given the life of the last process. random is from [0, 1) and adds up to half
// of the wait, so that plugins that failed together do not start together.
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

// open reports whether the breaker is open: steps are refused and do not wait for the next process.
func (b *backoff) open() bool { return b.failures > breakAfter }
