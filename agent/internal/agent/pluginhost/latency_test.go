package pluginhost

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// latencyParts is the inverse of the relative error.
const latencyParts = 8

// draws is how many random cases a test of pure logic has. Package rapid is not used here: its
// initialization is a tenth of what each plugin process of these tests costs.
const draws = 200

func TestLatencyBounds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	bounds := []time.Duration{0, 1, latencyUnit - 1, latencyUnit, latencyUnit + 1, 2*time.Hour - 1, 2 * time.Hour}
	for n := range draws {
		// Of all magnitudes alike.
		d := time.Duration(random.Int64N(int64(2*time.Hour))) >> random.IntN(40)
		if n < len(bounds) {
			d = bounds[n]
		}
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
	}
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
	random := rand.New(rand.NewPCG(3, 4))
	for n := range draws {
		all := make([]int64, 1+n*3/2)
		l := newLatencies()
		for i := range all {
			all[i] = 1 + random.Int64N(int64(time.Minute))>>random.IntN(36)
			l.add(time.Duration(all[i]))
		}
		slices.Sort(all)
		got := l.summary()
		rank := func(hundredths int) time.Duration { return time.Duration(all[(len(all)*hundredths+99)/100-1]) }
		for _, q := range []struct{ got, want time.Duration }{{got.P50, rank(50)}, {got.P99, rank(99)}} {
			if q.got < q.want || q.got > q.want+q.want/latencyParts+latencyUnit {
				t.Fatalf("of %v: got %v, want %v and an eighth more at most", all, q.got, q.want)
			}
		}
		if got.Max != rank(100) {
			t.Fatalf("of %v: max %v, want %v", all, got.Max, rank(100))
		}
	}
}
