package statistics

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/aclements/go-moremath/stats"
	"pgregory.net/rapid"
)

// classic is the test without a smallest change.
var classic = Options{Alpha: 0.05}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(b)) }

func exps(values ...float64) []float64 {
	exps := make([]float64, len(values))
	for i, v := range values {
		exps[i] = math.Exp(v)
	}
	return exps
}

// Data of Hollander and Wolfe, Nonparametric Statistical Methods (1973), page 69, which the manual of R
// has for wilcox.test: W = 35, p = 0.2544, estimate 0.305, interval from -0.15 to 0.76. The other
// values come from counting all arrangements.
func TestSetsKnown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, after       []float64
		p, ratio, low, high float64
		word                Word
		needed              int
	}{
		"permeability": {
			before: []float64{1.15, 0.88, 0.90, 0.74, 1.21},
			after:  []float64{0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46},
			p:      0.2544122544122544, ratio: 0.305, low: -0.15, high: 0.76, word: NoDifference,
		},
		"apart": {
			before: []float64{11, 12, 13, 15}, after: []float64{1, 2, 3, 4},
			p: 0.02857142857142857, ratio: -10, low: -14, high: -7, word: Faster,
		},
		"seven and eight": {
			before: []float64{3.1, 2.2, 5.9, 4.4, 6.8, 2.9, 4.1}, after: []float64{5.2, 7.7, 8.1, 4.9, 9.3, 6.2, 10.4, 7.0},
			p: 0.005905205905205905, ratio: 3.2, low: 0.9, high: 5.2, word: Slower,
		},
		"three and three": {
			before: []float64{1.1, 2.2, 3.3}, after: []float64{4, 5, 6},
			p: 0.1, ratio: math.NaN(), low: math.NaN(), high: math.NaN(), word: TooFew, needed: 4,
		},
	} {
		compared := Sets(exps(c.before...), exps(c.after...))
		if got := p(compared.of, 0); !near(got, c.p) {
			t.Errorf("%s: p %v, want %v", name, got, c.p)
		}
		got := Overall(compared, classic)
		if got.Word != c.word || got.Needed != c.needed || got.Before != len(c.before) || got.After != len(c.after) {
			t.Errorf("%s: %+v", name, got)
		}
		if c.word == TooFew {
			if got.Known() {
				t.Errorf("%s: a ratio of %v without an interval", name, got.Ratio)
			}
			continue
		}
		if !near(math.Log(got.Ratio), c.ratio) || !near(math.Log(got.Low), c.low) || !near(math.Log(got.High), c.high) {
			t.Errorf("%s: %v from %v to %v", name, math.Log(got.Ratio), math.Log(got.Low), math.Log(got.High))
		}
	}
}

// The interval of a median of 10 values at 95 % runs from the second to the ninth, with a confidence of
// 97.9 %: David and Nagaraja, Order Statistics (2003), section 7.1.
func TestPairsKnown(t *testing.T) {
	t.Parallel()
	before, after := make([]float64, 10), make([]float64, 10)
	for i := range before {
		before[i], after[i] = 1, 1+float64(i+1)/100
	}
	got := Overall(Pairs(before, after), Defaults)
	if got.Word != Slower || !near(got.Low, 1.02) || !near(got.High, 1.09) || math.Abs(got.Ratio-1.055) > 1e-4 {
		t.Errorf("%+v", got)
	}
	few := Overall(Pairs(before[:5], after[:5]), Defaults)
	if few.Word != TooFew || few.Needed != 6 || few.Before != 5 {
		t.Errorf("%+v", few)
	}
}

func TestNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []Comparison{{}, Sets(nil, nil), Sets([]float64{1}, nil), Pairs(nil, nil)} {
		if got := Overall(c, Defaults); got.Word != TooFew || got.Known() {
			t.Errorf("%+v", got)
		}
	}
	if got := Judge(nil, Defaults); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestNeeded(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]int{1: 4, 10: 6, 100: 8} {
		family := make([]Comparison, size)
		for i := range family {
			family[i] = Sets([]float64{1}, []float64{2, 3})
		}
		if got := Judge(family, Defaults)[0]; got.Word != TooFew || got.Needed != want {
			t.Errorf("%d comparisons: %+v, want %d", size, got, want)
		}
	}
}

// Values that are all equal, or zero, tell no difference.
func TestEqualValues(t *testing.T) {
	t.Parallel()
	for _, value := range []float64{0, 1e-12, 0.1, 1e9} {
		same := slices.Repeat([]float64{value}, 12)
		for _, c := range []Comparison{Sets(same, same), Pairs(same, same)} {
			if got := Overall(c, classic); got.Word != NoDifference || got.Low != 1 || got.High != 1 || got.Ratio != 1 {
				t.Errorf("%v: %+v", value, got)
			}
		}
	}
	if got := Overall(Sets(slices.Repeat([]float64{0.100}, 6), slices.Repeat([]float64{0.105}, 6)), Defaults); got.Word != Slower || !near(got.Ratio, 1.05) {
		t.Errorf("%+v", got)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for o, good := range map[Options]bool{
		Defaults: true, classic: true, {Alpha: 0.01, Threshold: 10}: true,
		{}: false, {Alpha: 1}: false, {Alpha: -0.1}: false, {Alpha: math.NaN()}: false,
		{Alpha: 0.05, Threshold: -0.01}: false, {Alpha: 0.05, Threshold: math.Inf(1)}: false, {Alpha: 0.05, Threshold: math.NaN()}: false,
	} {
		if err := o.Check(); (err == nil) != good {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// positive draws durations, with many equal ones.
func positive(t *rapid.T, name string) []float64 {
	values := rapid.SliceOfN(rapid.IntRange(1, 40), 1, 30).Draw(t, name)
	seconds := make([]float64, len(values))
	for i, v := range values {
		seconds[i] = float64(v) / 1000
	}
	return seconds
}

// p agrees with the library's test where no values are equal, and is never below what any order of
// equal values gives. Intervals and words follow p.
func TestSetsProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		before, after := positive(t, "before"), positive(t, "after")
		c := Sets(before, after)
		got := p(c.of, 0)
		for _, nudge := range []float64{1 + 1e-7, 1 - 1e-7} {
			ordered := slices.Clone(after)
			for i := range ordered {
				ordered[i] *= nudge
			}
			if other := p(Sets(before, ordered).of, 0); other > got+1e-12 {
				t.Fatalf("p %v is below %v, that of one order of equal values", got, other)
			}
		}
		lib, err := stats.MannWhitneyUTest(before, after, stats.LocationDiffers)
		if distinct(before, after) && len(before)*len(after) <= exactLimit && err == nil && !near(lib.P, got) {
			t.Fatalf("p %v, the library says %v", got, lib.P)
		}
		change, back := Overall(c, Defaults), Overall(Sets(after, before), Defaults)
		checkChange(t, change, Defaults)
		if change.Known() && (!near(change.Low*back.High, 1) || !near(change.High*back.Low, 1) || !near(change.Ratio*back.Ratio, 1)) {
			t.Fatalf("exchanged sides: %+v and %+v", change, back)
		}
		if told := change.Word == Slower || change.Word == Faster; told != (p(c.of, math.Log1p(Defaults.Threshold)) <= Defaults.Alpha) {
			t.Fatalf("p contradicts %+v", change)
		}
	})
}

// kth finds the differences that sorting all of them finds.
func TestKth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := newSets(logs(positive(t, "before")), logs(positive(t, "after"))).(sets)
		var all []float64
		for _, b := range c.before {
			for _, a := range c.after {
				all = append(all, a-b)
			}
		}
		slices.Sort(all)
		k := rapid.IntRange(1, len(all)).Draw(t, "k")
		if got := kth(c, k); got != all[k-1] {
			t.Fatalf("%v, want %v", got, all[k-1])
		}
	})
}

func distinct(before, after []float64) bool {
	all := slices.Concat(before, after)
	slices.Sort(all)
	return len(slices.Compact(all)) == len(before)+len(after)
}

func checkChange(t *rapid.T, c Change, o Options) {
	t.Helper()
	switch slower, faster := c.Low > 1+o.Threshold, c.High < 1/(1+o.Threshold); {
	case c.Known() != (c.Word != TooFew), c.Known() == (c.Needed > 0), c.Confidence < 1-o.Alpha:
	case c.Known() && !(c.Low <= c.Ratio && c.Ratio <= c.High):
	case (c.Word == Slower) != slower, (c.Word == Faster) != faster:
	default:
		return
	}
	t.Fatalf("%+v", c)
}

// All words of a family follow from their intervals, and a family says no more than its members alone.
func TestJudgeProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		family := make([]Comparison, rapid.IntRange(1, 12).Draw(t, "steps"))
		for i := range family {
			family[i] = Sets(positive(t, "before"), positive(t, "after"))
		}
		for i, change := range Judge(family, Defaults) {
			checkChange(t, change, Defaults)
			if alone := Overall(family[i], Defaults); change.Word != alone.Word && change.Word != NoDifference && change.Word != TooFew {
				t.Fatalf("%+v, but alone %+v", change, alone)
			}
		}
	})
}

// The normal approximation is used for large sets alone, and there it widens the interval or moves it
// by little.
func TestApproximation(t *testing.T) {
	t.Parallel()
	for _, sizes := range [][2]int{{26, 26}, {10, 70}, {3, 220}, {1, 700}, {40, 40}} {
		exact := stats.UDist{N1: sizes[0], N2: sizes[1]}
		for _, level := range []float64{0.05, 0.005, 0.0005} {
			c := sets{make([]float64, sizes[0]), make([]float64, sizes[1])}
			rank := rankAt(c, level)
			if rank == 0 {
				continue
			}
			if real := 2 * exact.CDF(float64(rank-1)); real > 1.02*level {
				t.Errorf("%v: the interval at %v has an error of %v", sizes, level, real)
			}
		}
	}
}

// The quartiles are those of Hyndman and Fan's eighth definition, quantile(x, type=8) in R.
func TestSummarize(t *testing.T) {
	t.Parallel()
	values := []float64{9, 1, 8, 2, 7, 3, 6, 4, 5, 10}
	got := Summarize(values)
	if got.N != 10 || got.Median != 5.5 || !near(got.Lower, 2+11./12) || !near(got.Upper, 8+1./12) || got.Least != 1 || got.Most != 10 || !near(got.Spread(), 5+1./6) {
		t.Errorf("%+v", got)
	}
	if values[0] != 9 {
		t.Error("the values were sorted in place")
	}
	if got := Summarize(nil); got != (Summary{}) {
		t.Errorf("%+v", got)
	}
	if got := Summarize([]float64{3}); got != (Summary{1, 3, 3, 3, 3, 3}) {
		t.Errorf("%+v", got)
	}
}

func TestChangeJSON(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Change{
		`{"word":"too few runs","confidence":0.95,"before":2,"after":3,"needed":4}`: Overall(Sets([]float64{1, 2}, []float64{3, 4, 5}), Defaults),
		`{"word":"slower","ratio":2,"low":2,"high":2,"confidence":0.95,"before":4,"after":4}`: {
			Word: Slower, Ratio: 2, Low: 2, High: 2, Confidence: 0.95, Before: 4, After: 4},
	} {
		if got, err := json.Marshal(c); err != nil || string(got) != want {
			t.Errorf("%s, error %v, want %s", got, err, want)
		}
	}
}
