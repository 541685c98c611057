package pluginhost

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// latencyParts is the inverse of the relative error.
const latencyParts = 8

func TestLatencyBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(t, "d"))
		l := newLatencies()
		l.add(d)
		l.add(2 * time.Hour)
		got := l.summary().P50
		if got < d {
			t.Fatalf("%v is shown as %v", d, got)
		}
		if most := d + d/latencyParts + latencyUnit; got > most {
			t.Fatalf("%v is shown as %v", d, got)
		}
	})
	for _, d := range []time.Duration{-1, 0, 1 << 62} {
		l := newLatencies()
		l.add(d)
		if got := l.summary(); got.P50 < 0 || got.Max != max(d, 0) {
			t.Errorf("%v is shown as %+v", d, got)
		}
	}
}

func TestLatencySummary(t *testing.T) {
	if got := newLatencies().summary(); got != (Latency{}) {
		t.Errorf("of nothing: %+v", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Int64Range(1, int64(time.Minute)), 1, 300).Draw(t, "latencies")
		l := newLatencies()
		for _, d := range all {
			l.add(time.Duration(d))
		}
		slices.Sort(all)
		got := l.summary()
		rank := func(hundredths int) time.Duration { return time.Duration(all[(len(all)*hundredths+99)/100-1]) }
		for _, q := range []struct{ got, want time.Duration }{{got.P50, rank(50)}, {got.P99, rank(99)}} {
			if q.got < q.want || q.got > q.want+q.want/latencyParts+latencyUnit {
				t.Fatalf("got %v, want %v and an eighth more at most", q.got, q.want)
			}
		}
		if got.Max != rank(100) {
			t.Fatalf("max %v, want %v", got.Max, rank(100))
		}
	})
}
