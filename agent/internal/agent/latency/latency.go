// Package latency counts durations in histograms.
//
// The buckets are those of Prometheus's native histograms at a fixed resolution, so that a histogram
// is exported without a loss. Adding takes no lock, and a histogram takes two kilobytes.
package latency

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	// Schema is the resolution as Prometheus counts it: each power of two seconds has 2^Schema
	// buckets, so that a bucket's upper bound is at most 9 % above what is in it.
	Schema      = 3
	perOctave   = 1 << Schema
	zeroOctave  = -20 // durations up to 2^-20 s, a microsecond, are in the first bucket
	lastOctave  = 13  // durations over 2^13 s, two hours, count as this
	bucketCount = (lastOctave-zeroOctave)*perOctave + 1
)

// Longest is the longest duration that is told from longer ones.
const Longest = time.Second << lastOctave

// bounds are the upper bounds of the buckets in nanoseconds; first is, by the number of bits of a
// duration, the first bucket that can have it.
var bounds, first = makeBounds()

func makeBounds() (bounds [bucketCount]int64, first [65]uint16) {
	for i := range bounds {
		bounds[i] = int64(float64(time.Second) * upper(i))
	}
	bucket := uint16(0)
	for n := range first {
		for least := int64(1) << max(n-1, 0); bucket < bucketCount-1 && bounds[bucket] < least; {
			bucket++
		}
		first[n] = bucket
	}
	return bounds, first
}

// upper returns the upper bound of a bucket in seconds.
func upper(bucket int) float64 {
	return math.Exp2(zeroOctave + float64(bucket)/perOctave)
}

// A Histogram counts durations. The zero value is empty. It is safe for concurrent use.
type Histogram struct {
	counts [bucketCount]atomic.Uint64
	sum    atomic.Uint64 // nanoseconds
	max    atomic.Int64
}

// Add counts a duration. One below 0, after a step of the clock, counts as 0.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	for most := h.max.Load(); int64(d) > most && !h.max.CompareAndSwap(most, int64(d)); most = h.max.Load() {
	}
	d = min(d, Longest)
	h.sum.Add(uint64(d))
	bucket := first[bits.Len64(uint64(d))]
	for int64(d) > bounds[bucket] {
		bucket++
	}
	h.counts[bucket].Add(1)
}

// Snapshot returns what was counted so far.
func (h *Histogram) Snapshot() Snapshot {
	var s Snapshot
	h.addTo(&s)
	return s
}

func (h *Histogram) addTo(s *Snapshot) {
	for i := range h.counts {
		n := h.counts[i].Load()
		s.counts[i] += n
		s.Count += n
	}
	s.Sum += time.Duration(h.sum.Load())
	s.Max = max(s.Max, time.Duration(h.max.Load()))
}

// Shards are histograms that count the same: goroutines on different processors use different ones.
type Shards []Histogram

// NewShards returns n empty histograms, at least one.
func NewShards(n int) Shards { return make(Shards, max(n, 1)) }

// Of returns the histogram for a number that the caller chooses, such as that of a socket.
func (s Shards) Of(number int) *Histogram { return &s[uint(number)%uint(len(s))] }

// Snapshot returns what was counted so far in all of them.
func (s Shards) Snapshot() Snapshot {
	var sum Snapshot
	for i := range s {
		s[i].addTo(&sum)
	}
	return sum
}
