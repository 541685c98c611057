package latency

import (
	"time"
)

// A Snapshot is the content of a histogram at one moment. The zero value is that of an empty one.
// Durations that are added meanwhile may be in Count and not yet in Sum, or the other way round.
type Snapshot struct {
	Count uint64
	Sum   time.Duration
	Max   time.Duration

	counts [bucketCount]uint64
}

// Add adds what another histogram has counted.
func (s *Snapshot) Add(other *Snapshot) {
	s.Count += other.Count
	s.Sum += other.Sum
	s.Max = max(s.Max, other.Max)
	for i, n := range other.counts {
		s.counts[i] += n
	}
}

// Since returns what was counted after an earlier snapshot of the same histograms. Max stays that of
// all.
func (s *Snapshot) Since(earlier *Snapshot) Snapshot {
	later := *s
	later.Count -= earlier.Count
	later.Sum -= earlier.Sum
	for i, n := range earlier.counts {
		later.counts[i] -= n
	}
	return later
}

// A Summary is the quantiles of a histogram.
type Summary struct {
	// P50 and P99 are upper bounds of these quantiles, at most an eighth above them.
	P50 time.Duration `json:"p50_ns"`
	P99 time.Duration `json:"p99_ns"`
	Max time.Duration `json:"max_ns"`
}

// Summary returns the quantiles; zero when nothing was counted.
func (s *Snapshot) Summary() Summary {
	return Summary{P50: s.quantile(50), P99: s.quantile(99), Max: s.Max}
}

func (s *Snapshot) quantile(percent uint64) time.Duration {
	rank := (s.Count*percent + 99) / 100 // rounded up
	below := uint64(0)
	for i, n := range s.counts {
		if below += n; below >= rank && rank > 0 {
			return min(time.Duration(bounds[i]), s.Max)
		}
	}
	return s.Max
}

// Native returns the buckets of a native histogram of Prometheus with the resolution Schema: how many
// durations were at most ZeroThreshold, and how many are in the other buckets, by their index.
func (s *Snapshot) Native() (zero uint64, buckets map[int]int64) {
	buckets = map[int]int64{}
	for i, n := range s.counts[1:] {
		if n > 0 {
			buckets[zeroOctave*perOctave+i+1] = int64(n)
		}
	}
	return s.counts[0], buckets
}

// ZeroThreshold is the longest duration in the zero bucket of a native histogram, in seconds.
const ZeroThreshold = 1.0 / (1 << -zeroOctave)

// The bounds of a classic histogram: the powers of two between these.
const (
	classicFirst = -16 // 15 µs
	classicLast  = 4   // 16 s
)

// Classic returns the buckets of a classic histogram of Prometheus: how many durations were at most as
// long, by the bound in seconds. It leaves out the bucket without a bound, which has Count.
func (s *Snapshot) Classic() map[float64]uint64 {
	buckets := make(map[float64]uint64, classicLast-classicFirst+1)
	sum := uint64(0)
	for i, n := range s.counts {
		sum += n
		if octave := zeroOctave + i/perOctave; i%perOctave == 0 && octave >= classicFirst && octave <= classicLast {
			buckets[upper(i)] = sum
		}
	}
	return buckets
}
