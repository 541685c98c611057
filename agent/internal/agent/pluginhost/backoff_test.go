package pluginhost

import (
	"math/rand/v2"
	"testing"
	"time"
)

// draws is how many random cases a test of pure logic has. Package rapid is not used here: its
// initialization is a tenth of what each plugin process of these tests costs.
const draws = 200

func TestBackoff(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range draws {
		const least, most, lasting = 100 * time.Millisecond, 30 * time.Second, 2 * time.Second
		b := newBackoff(Options{BackoffMin: least, BackoffMax: most, Lasting: lasting})
		failures, now, useful := 0, time.Now(), 0
		short := random.IntN(4) // how seldom a life lasts or is of use
		for range 100 {
			last := life{}
			if random.IntN(1<<(2*short)) == 0 {
				last.served = []time.Duration{0, lasting - 1, lasting}[random.IntN(3)]
				last.verdicts = random.Uint64N(2*usefulVerdicts + 1)
			}
			wait := b.next(now, last, 0.999*random.Float64())
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
	}
}
