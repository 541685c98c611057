package statistics

import (
	"math"
	"slices"
	"sync"

	"github.com/aclements/go-moremath/stats"
)

// differences are those between two sides, after minus before, and the distribution of how many of
// them lie below the true one.
type differences interface {
	// sizes returns how many values the sides have.
	sizes() (before, after int)
	// count returns the number of differences, and bounds the smallest and the largest of them.
	count() int
	bounds() (low, high float64)
	// atMost returns how many differences are at most d, and the next larger difference; infinity
	// for none.
	atMost(d float64) (n int, next float64)
	// flip returns the comparison with the sides exchanged.
	flip() differences
	// tail returns the probability that at most k differences lie below the true one.
	tail(k int) float64
	// needed returns how many values each side must have for an interval at the level.
	needed(level float64) int
}

// sets are the differences of all pairs of a value before and one after. Both are sorted.
type sets struct{ before, after []float64 }

func newSets(before, after []float64) differences {
	if len(before) == 0 || len(after) == 0 {
		return nil
	}
	slices.Sort(before)
	slices.Sort(after)
	return sets{before, after}
}

func (s sets) sizes() (before, after int) { return len(s.before), len(s.after) }
func (s sets) count() int                 { return len(s.before) * len(s.after) }
func (s sets) flip() differences          { return sets{s.after, s.before} }

func (s sets) bounds() (low, high float64) {
	return s.after[0] - s.before[len(s.before)-1], s.after[len(s.after)-1] - s.before[0]
}

// atMost takes one pass: how many values after are within d grows with the value before.
func (s sets) atMost(d float64) (n int, next float64) {
	next = math.Inf(1)
	within := 0
	for _, before := range s.before {
		for within < len(s.after) && s.after[within]-before <= d {
			within++
		}
		n += within
		if within < len(s.after) {
			next = min(next, s.after[within]-before)
		}
	}
	return n, next
}

func (s sets) tail(k int) float64 { return uTail(uKey{len(s.before), len(s.after), k}) }

func (sets) needed(level float64) int {
	return fewest(level, func(n int) float64 { return uTail(uKey{n, n, 0}) })
}

// pairs are the differences of values that belong together, sorted.
type pairs []float64

func newPairs(before, after []float64) differences {
	if len(before) == 0 {
		return nil
	}
	ds := make(pairs, len(before))
	for i := range before {
		ds[i] = after[i] - before[i]
	}
	slices.Sort(ds)
	return ds
}

func (p pairs) sizes() (before, after int)  { return len(p), len(p) }
func (p pairs) count() int                  { return len(p) }
func (p pairs) bounds() (low, high float64) { return p[0], p[len(p)-1] }

func (p pairs) flip() differences {
	flipped := make(pairs, len(p))
	for i, d := range p {
		flipped[len(p)-1-i] = -d
	}
	return flipped
}

func (p pairs) atMost(d float64) (n int, next float64) {
	for n < len(p) && p[n] <= d {
		n++
	}
	if n == len(p) {
		return n, math.Inf(1)
	}
	return n, p[n]
}

func (p pairs) tail(k int) float64 { return signTail(len(p), k) }

func (pairs) needed(level float64) int {
	return fewest(level, func(n int) float64 { return signTail(n, 0) })
}

// fewest returns the smallest number of values with a tail that suffices for an interval at the level.
func fewest(level float64, tail func(n int) float64) int {
	n := 2
	for twice(tail(n)) > level {
		n++
	}
	return n
}

// signTail returns the probability that at most k of n differences lie below their median.
func signTail(n, k int) float64 { return stats.BinomialDist{N: n, P: 0.5}.CDF(float64(k)) }

// exactLimit is the largest product of the sizes of two sets for which the exact distribution of U is
// used. A tail of 25 and 25 values takes half a millisecond.
const exactLimit = 25 * 25

// A uKey is what a tail of the distribution of U depends on.
type uKey struct{ before, after, k int }

// uTails keeps tails of the exact distribution, which the steps of a procedure share.
var uTails sync.Map // of float64 by uKey

// uTail returns the probability that U, the number of differences below the true one, is at most k.
func uTail(key uKey) float64 {
	n, m := float64(key.before), float64(key.after)
	if key.before*key.after > exactLimit {
		deviation := math.Sqrt(n * m * (n + m + 1) / 12)
		return stats.StdNormal.CDF((float64(key.k) + 0.5 - n*m/2) / deviation)
	}
	if tail, ok := uTails.Load(key); ok {
		return tail.(float64)
	}
	tail := stats.UDist{N1: key.before, N2: key.after}.CDF(float64(key.k))
	uTails.Store(key, tail)
	return tail
}
