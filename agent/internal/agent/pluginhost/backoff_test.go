package pluginhost

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBackoff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const least, most, lasting = 100 * time.Millisecond, 30 * time.Second, 2 * time.Second
		b := newBackoff(Options{BackoffMin: least, BackoffMax: most, Lasting: lasting})
		failures, now, useful := 0, time.Now(), 0
		for range 100 {
			last := life{rapid.SampledFrom([]time.Duration{0, lasting - 1, lasting}).Draw(t, "served"),
				rapid.Uint64Range(0, 2*usefulVerdicts).Draw(t, "verdicts")}
			wait := b.next(now, last, rapid.Float64Range(0, 0.999).Draw(t, "random"))
			if last.served >= lasting {
				failures = 0
			} else if last.verdicts >= usefulVerdicts && useful < usefulBurst { // time stands still
				failures, useful = 0, useful+1
			}
			failures++
			base := time.Duration(0)
			for i := 1; i < failures; i++ {
				base = min(max(2*base, least), most)
			}
			if wait < base || wait > min(base+base/2, most) {
				t.Fatalf("wait %v after %d failures, want %v and up to half more", wait, failures, base)
			}
		}
	})
}
