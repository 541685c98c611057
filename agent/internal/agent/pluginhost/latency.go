package pluginhost

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A Latency is how long verdicts took, from the moment when the step was put to the group.
// Waiting for a process is in it.
type Latency struct {
	// P50 and P99 are no less than what half and 99 of 100 took, and an eighth more at most.
	P50 time.Duration `json:"p50_ns"`
	P99 time.Duration `json:"p99_ns"`
	// Max is the longest.
	Max time.Duration `json:"max_ns"`
}

const (
	// latencyParts is into how many parts each doubling of the latency is divided.
	latencyParts = 8
	// latencyUnit is what is counted: a shorter time is as good as none.
	latencyUnit = time.Microsecond
	// latencyBuckets reach up to 2^33 units, more than two hours.
	latencyBuckets = 32 * latencyParts
)

// latencies counts how long verdicts took. It costs two atomic operations a step and two
// kilobytes. The zero value is ready; it is safe for concurrent use.
type latencies struct {
	counts [latencyBuckets]atomic.Uint64
	max    atomic.Int64
}

func (l *latencies) add(d time.Duration) {
	l.counts[latencyBucket(d)].Add(1)
	for {
		most := l.max.Load()
		if int64(d) <= most || l.max.CompareAndSwap(most, int64(d)) {
			return
		}
	}
}

// latencyBucket returns the bucket of a latency: those below latencyParts units have one
// each, the further ones are divided logarithmically.
func latencyBucket(d time.Duration) int {
	units := uint64(max(d, 0) / latencyUnit)
	if units < latencyParts {
		return int(units)
	}
	doubling := bits.Len64(units) - 4 // 0 for units from 8 to 15
	return min(latencyParts+doubling*latencyParts+int(units>>doubling)-latencyParts, latencyBuckets-1)
}

// latencyBound returns the least latency that is above those of a bucket.
func latencyBound(bucket int) time.Duration {
	if bucket < latencyParts {
		return time.Duration(bucket+1) * latencyUnit
	}
	doubling, part := bucket/latencyParts-1, bucket%latencyParts
	return time.Duration((latencyParts+part+1)<<doubling) * latencyUnit
}

// summary returns what has been counted so far; zero when nothing has.
func (l *latencies) summary() Latency {
	var counts [latencyBuckets]uint64
	total := uint64(0)
	for i := range counts {
		counts[i] = l.counts[i].Load()
		total += counts[i]
	}
	most := time.Duration(l.max.Load())
	quantile := func(hundredths uint64) time.Duration {
		rank, seen := (total*hundredths+99)/100, uint64(0)
		for i, n := range counts {
			if seen += n; n > 0 && seen >= rank {
				return min(latencyBound(i), most)
			}
		}
		return 0
	}
	return Latency{P50: quantile(50), P99: quantile(99), Max: most}
}
