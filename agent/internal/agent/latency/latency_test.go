package latency_test

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/agent/latency"
)

const (
	// parts is the inverse of the relative error of a quantile.
	parts = 8
	// least is the upper bound of the first bucket.
	least = time.Microsecond
)

func summary(all ...time.Duration) latency.Summary {
	var h latency.Histogram
	for _, d := range all {
		h.Add(d)
	}
	s := h.Snapshot()
	return s.Summary()
}

func TestSummaryBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(latency.Longest)).Draw(t, "d"))
		got := summary(d, latency.Longest).P50
		if most := d + d/parts + least; got < d || got > most {
			t.Fatalf("%v is shown as %v", d, got)
		}
	})
	for _, d := range []time.Duration{-1, 0, 1 << 62, math.MaxInt64} {
		if got := summary(d); got.P50 < 0 || got.Max != max(d, 0) {
			t.Errorf("%v is shown as %+v", d, got)
		}
	}
}

func TestSummary(t *testing.T) {
	if got := summary(); got != (latency.Summary{}) {
		t.Errorf("of nothing: %+v", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		all := durations(t)
		got := summary(all...)
		slices.Sort(all)
		rank := func(hundredths int) time.Duration { return all[(len(all)*hundredths+99)/100-1] }
		for _, q := range []struct{ got, want time.Duration }{{got.P50, rank(50)}, {got.P99, rank(99)}} {
			if q.got < q.want || q.got > q.want+q.want/parts+least {
				t.Fatalf("got %v, want %v and an eighth more at most", q.got, q.want)
			}
		}
		if got.Max != rank(100) {
			t.Fatalf("max %v, want %v", got.Max, rank(100))
		}
	})
}

// TestBuckets: the buckets for Prometheus have what was added, by the bounds that Prometheus has.
func TestBuckets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := durations(t)
		shards := latency.NewShards(3)
		sum := time.Duration(0)
		for i, d := range all {
			shards.Of(i).Add(d)
			sum += d
		}
		got := shards.Snapshot()
		if got.Count != uint64(len(all)) || got.Sum != sum {
			t.Fatalf("got %d of %v, want %d of %v", got.Count, got.Sum, len(all), sum)
		}
		atMost := func(bound float64) (n uint64) {
			for _, d := range all {
				if float64(d) <= bound*float64(time.Second) {
					n++
				}
			}
			return n
		}
		for bound, n := range got.Classic() {
			if want := atMost(bound); n != want {
				t.Fatalf("the bucket up to %g has %d, want %d", bound, n, want)
			}
		}
		zero, buckets := got.Native()
		if want := atMost(latency.ZeroThreshold); zero != want {
			t.Fatalf("the zero bucket has %d, want %d", zero, want)
		}
		total := zero
		for i, n := range buckets {
			above, upTo := math.Exp2(float64(i-1)/(1<<latency.Schema)), math.Exp2(float64(i)/(1<<latency.Schema))
			if want := atMost(upTo) - atMost(above); uint64(n) != want {
				t.Fatalf("bucket %d, %g to %g, has %d, want %d", i, above, upTo, n, want)
			}
			total += uint64(n)
		}
		if total != got.Count {
			t.Fatalf("the native buckets have %d, want %d", total, got.Count)
		}
	})
	var h latency.Histogram
	h.Add(2 * latency.Longest)
	s := h.Snapshot()
	if _, buckets := s.Native(); len(buckets) != 1 {
		t.Errorf("a duration past the longest is in the buckets %v", buckets)
	}
	if n := len(s.Classic()); n != 21 {
		t.Errorf("%d classic buckets; each is a time series", n)
	}
}

func durations(t *rapid.T) []time.Duration {
	one := rapid.Custom(func(t *rapid.T) time.Duration { // of all magnitudes, and at the bounds of buckets
		octave := rapid.IntRange(-22, 12).Draw(t, "octave")
		within := rapid.SampledFrom([]float64{1, 1 + 1e-9, 1.09, 1.5, 1.9999}).Draw(t, "within")
		return time.Duration(math.Exp2(float64(octave)) * within * float64(time.Second))
	})
	return rapid.SliceOfN(one, 1, 100).Draw(t, "latencies")
}

// TestConcurrentAdd: nothing that goroutines add at once is lost.
func TestConcurrentAdd(t *testing.T) {
	var h latency.Histogram
	var adding sync.WaitGroup
	const goroutines, each = 8, 1000
	for g := range goroutines {
		adding.Go(func() {
			for i := range each {
				h.Add(time.Duration(g*each+i) * time.Microsecond)
			}
		})
	}
	adding.Wait()
	const n = goroutines * each
	got := h.Snapshot()
	if got.Count != n || got.Sum != n*(n-1)/2*time.Microsecond || got.Max != (n-1)*time.Microsecond {
		t.Errorf("count %d, sum %v, max %v", got.Count, got.Sum, got.Max)
	}
}

// TestSnapshotsAdd: a sum of snapshots is that of all that was added.
func TestSnapshotsAdd(t *testing.T) {
	var one, other, both latency.Histogram
	for i := range 100 {
		d := time.Duration(i*i) * time.Microsecond
		both.Add(d)
		if i%3 == 0 {
			one.Add(d)
		} else {
			other.Add(d)
		}
	}
	sum, second, want := one.Snapshot(), other.Snapshot(), both.Snapshot()
	sum.Add(&second)
	if sum != want {
		t.Error("the sum differs")
	}
	if later := sum.Since(&second); later.Count != 34 || later.Summary().P50 > 2500*time.Microsecond*9/8 {
		t.Errorf("%d later, %v", later.Count, later.Summary())
	}
}

func BenchmarkAdd(b *testing.B) {
	var h latency.Histogram
	for d := time.Duration(0); b.Loop(); d = (d + 977*time.Nanosecond) % time.Millisecond {
		h.Add(d)
	}
}
