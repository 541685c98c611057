package statistics

import (
	"math"
	"slices"
)

// Judge judges a family of comparisons: with a probability of at most o.Alpha, any of the words
// Slower and Faster is wrong.
//
// Holm's method admits comparisons in order of their p-values. Those that can tell no difference at
// all, because they have too few values, are left out of the family; that depends on numbers of
// values alone. All intervals have the same confidence, that of the step at which the method ends.
// At this level exactly the comparisons that were admitted have an interval beyond the threshold.
func Judge(family []Comparison, o Options) []Change {
	edge := math.Log1p(o.Threshold)
	var able []float64 // the p-values of the family
	for _, c := range family {
		if c.of != nil && twice(c.of.tail(0)) <= o.Alpha {
			able = append(able, p(c.of, edge))
		}
	}
	slices.Sort(able)
	admitted := 0
	for admitted < len(able) && able[admitted] <= o.Alpha/float64(len(able)-admitted) {
		admitted++
	}
	level := o.Alpha / float64(max(1, len(able)-admitted))
	changes := make([]Change, len(family))
	for i, c := range family {
		changes[i] = judge(c, edge, level)
		if changes[i].Word == TooFew && c.of != nil {
			// The level of the first step of the method, at which any comparison can be admitted.
			changes[i].Needed = c.of.needed(o.Alpha / float64(len(family)))
		}
	}
	return changes
}

// Overall judges one comparison that is a family of its own.
func Overall(c Comparison, o Options) Change { return Judge([]Comparison{c}, o)[0] }

// judge judges one comparison at a level.
func judge(c Comparison, edge, level float64) Change {
	change := Change{Word: TooFew, Ratio: math.NaN(), Low: math.NaN(), High: math.NaN(), Confidence: 1 - level}
	if c.of == nil {
		return change
	}
	change.Before, change.After = c.of.sizes()
	rank := rankAt(c.of, level)
	if rank == 0 {
		return change
	}
	low, high := kth(c.of, rank), -kth(c.of.flip(), rank)
	middle := (c.of.count() + 1) / 2
	change.Ratio = math.Exp((kth(c.of, middle) - kth(c.of.flip(), middle)) / 2)
	change.Low, change.High = math.Exp(low), math.Exp(high)
	switch {
	case low > edge:
		change.Word = Slower
	case high < -edge:
		change.Word = Faster
	default:
		change.Word = NoDifference
	}
	return change
}

// p returns the p-value of the hypothesis that the change is within the edge, both ways: the smallest
// level at which the interval lies beyond it.
func p(c differences, edge float64) float64 {
	slower, _ := c.atMost(edge)
	faster, _ := c.flip().atMost(edge)
	return twice(c.tail(min(slower, faster)))
}

func twice(tail float64) float64 { return min(1, 2*tail) }

// rankAt returns the rank of the difference with which the interval at a level begins, from 1. It is
// 0 if not even the interval between the smallest and the largest has the confidence.
func rankAt(c differences, level float64) int {
	// The first rank beyond the interval, by bisection: the tail grows with the rank.
	low, high := 0, c.count()+1
	for high-low > 1 {
		if rank := (low + high) / 2; twice(c.tail(rank-1)) <= level {
			low = rank
		} else {
			high = rank
		}
	}
	return low
}

// resolution is how close kth comes by bisection, as a logarithm of a ratio.
const resolution = 1e-9

// kth returns the k-th smallest difference, from 1.
func kth(c differences, k int) float64 {
	low, high := c.bounds()
	low -= resolution // fewer than k differences are at most low
	for high-low > resolution {
		middle := low + (high-low)/2
		if n, _ := c.atMost(middle); n >= k {
			high = middle
		} else {
			low = middle
		}
	}
	for {
		_, low = c.atMost(low)
		if n, _ := c.atMost(low); n >= k {
			return low
		}
	}
}
