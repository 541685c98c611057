package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are kept from one microsecond up, to three significant digits.
const (
	leastLatency      = time.Microsecond
	significantDigits = 3
)

// newHistogram returns one that holds what a client can wait for. An intended time may lie
// further back than one wait, as far as an hour; what is longer counts as that.
func newHistogram(wait time.Duration) *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(leastLatency), int64(max(2*wait, time.Hour)), significantDigits)
}

// A tally counts for several clients, so that neither all of them meet at one lock nor each
// has a histogram of its own, which would be larger than everything else it needs.
type tally struct {
	mu      sync.Mutex
	latency *hdrhistogram.Histogram
	counts  counts
	last    time.Time // when the last reply came
}

// counts are the numbers of one tally, or of all.
type counts struct {
	steps    uint64
	finished uint64
	sessions uint64
	made     uint64
	unsent   uint64
	troubles [kinds]uint64
	examples [kinds]string
}

func newTally(wait time.Duration) *tally { return &tally{latency: newHistogram(wait)} }

// right counts a reply that is as it must be, to a step that was due some time ago.
func (t *tally) right(due, now time.Time, whole bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.steps++
	if whole {
		t.counts.sessions++
	}
	t.last = now
	took := min(max(now.Sub(due), leastLatency), time.Duration(t.latency.HighestTrackableValue()))
	_ = t.latency.RecordValue(int64(took)) // it is within the bounds
}

// finishing counts a reply that is as it must be and came after the end of the load.
func (t *tally) finishing(whole bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.finished++
	if whole {
		t.counts.sessions++
	}
}

// trouble counts what went wrong and keeps the first of its kind as an example.
func (t *tally) trouble(k kind, example string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.troubles[k]++
	if t.counts.examples[k] == "" {
		t.counts.examples[k] = example
	}
}

// connected counts a connection that was made.
func (t *tally) connected() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.made++
}

// skip counts steps that were due and have not been sent.
func (t *tally) skip(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.unsent += uint64(n)
}

func (t *tally) addTo(r *Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.Steps += t.counts.steps
	r.Finishing += t.counts.finished
	if t.last.After(r.last) {
		r.last = t.last
	}
	r.Sessions += t.counts.sessions
	r.Made += t.counts.made
	r.Unsent += t.counts.unsent
	for k := range kinds {
		r.troubles[k] += t.counts.troubles[k]
		if r.examples[k] == "" {
			r.examples[k] = t.counts.examples[k]
		}
	}
	r.latency.Merge(t.latency)
}
