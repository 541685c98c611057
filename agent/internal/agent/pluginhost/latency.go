package pluginhost

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Latency is how long verdicts took, including the wait for a process.
type Latency struct {
	// P50 and P99 are upper bounds of these quantiles, at most an eighth above them.
	P50 time.Duration `json:"p50_ns"`
	P99 time.Duration `json:"p99_ns"`
	Max time.Duration `json:"max_ns"`
}

const (
	latencyUnit   = time.Microsecond
	latencyMax    = 2 * time.Hour // longer ones count as this
	latencyDigits = 1             // significant decimal digits
)

// latencies is a histogram of some kilobytes. It is safe for concurrent use.
type latencies struct {
	mu     sync.Mutex // guards what follows
	counts *hdrhistogram.Histogram
	max    time.Duration
}

func newLatencies() *latencies {
	return &latencies{counts: hdrhistogram.New(1, int64(latencyMax/latencyUnit), latencyDigits)}
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.counts.RecordValue(int64(min(max(d, 0), latencyMax) / latencyUnit)) // it is in range
	l.max = max(l.max, d)
}

// summary returns the latencies counted so far; zero when there are none.
func (l *latencies) summary() Latency {
	l.mu.Lock()
	defer l.mu.Unlock()
	quantile := func(percent int64) time.Duration {
		total := l.counts.TotalCount()
		rank := (total*percent + 99) / 100 // rounded up, which the histogram does not
		bucket := l.counts.ValueAtQuantile(100 * float64(rank) / float64(max(total, 1)))
		return min(time.Duration(bucket+1)*latencyUnit, l.max)
	}
	return Latency{P50: quantile(50), P99: quantile(99), Max: l.max}
}
