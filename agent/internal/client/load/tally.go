package load

import (
	"cmp"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The histogram has values from one microsecond up, with three significant digits.
const (
	leastLatency      = time.Microsecond
	significantDigits = 3
)

// newHistogram returns a histogram of latencies up to an hour or two waits. With a rate, a step may
// be due long before it is sent; longer latencies count as the highest value.
func newHistogram(wait time.Duration) *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(leastLatency), int64(max(2*wait, time.Hour)), significantDigits)
}

// A tally counts for several clients: one tally for all would be a contended lock, and one for each
// client would take much memory for its histogram.
type tally struct {
	mu     sync.Mutex // guards result
	result Result
}

func newTally(wait time.Duration) *tally { return &tally{result: Result{latency: newHistogram(wait)}} }

// update changes the result under the lock.
func (t *tally) update(change func(r *Result)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.result)
}

// answered counts an expected reply to a step; whole says that it ends a session, and finishing that
// it came after the end of the load.
func (t *tally) answered(due, now time.Time, whole, finishing bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if whole {
		t.result.Sessions++
	}
	if finishing {
		t.result.Finishing++
		return
	}
	t.result.Steps++
	t.result.last = now
	took := min(max(now.Sub(due), leastLatency), time.Duration(t.result.latency.HighestTrackableValue()))
	_ = t.result.latency.RecordValue(int64(took)) // it is within the bounds
}

// trouble counts a failure and keeps the first of its kind as an example.
func (t *tally) trouble(k kind, example string) {
	t.update(func(r *Result) {
		r.troubles[k]++
		r.examples[k] = cmp.Or(r.examples[k], example)
	})
}

func (t *tally) addTo(sum *Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &t.result
	sum.Steps += r.Steps
	sum.Finishing += r.Finishing
	sum.Sessions += r.Sessions
	sum.Made += r.Made
	sum.Unsent += r.Unsent
	if r.last.After(sum.last) {
		sum.last = r.last
	}
	for k := range kinds {
		sum.troubles[k] += r.troubles[k]
		sum.examples[k] = cmp.Or(sum.examples[k], r.examples[k])
	}
	sum.latency.Merge(r.latency)
}
