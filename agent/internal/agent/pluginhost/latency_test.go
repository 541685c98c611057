package pluginhost

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestLatencyBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(t, "d"))
		bucket := latencyBucket(d)
		bound := latencyBound(bucket)
		if d >= bound || bucket > 0 && d < latencyBound(bucket-1) {
			t.Fatalf("%v is in bucket %d, whose bounds are %v and %v", d, bucket, latencyBound(bucket-1), bound)
		}
		if most := d + d/latencyParts + latencyUnit; bound > most {
			t.Fatalf("%v is shown as %v", d, bound)
		}
	})
	for _, d := range []time.Duration{-1, 0, 1 << 62} {
		if b := latencyBucket(d); b < 0 || b >= latencyBuckets {
			t.Errorf("%v is in bucket %d", d, b)
		}
	}
}

func TestLatencySummary(t *testing.T) {
	if got := new(latencies).summary(); got != (Latency{}) {
		t.Errorf("of nothing: %+v", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Int64Range(1, int64(time.Minute)), 1, 300).Draw(t, "latencies")
		var l latencies
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
