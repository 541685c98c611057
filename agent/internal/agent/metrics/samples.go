package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/stepagent/stepagent/agent/internal/agent/latency"
	"github.com/stepagent/stepagent/agent/protocol"
)

// samples receive the values of one metric.
type samples struct {
	desc   *prometheus.Desc
	kind   kind
	labels []string // in front of those of each sample
	to     chan<- prometheus.Metric
}

func (s *samples) with(labels []string) []string {
	return append(s.labels[:len(s.labels):len(s.labels)], labels...)
}

// add adds the value that has these labels.
func (s *samples) add(value float64, labels ...string) {
	as := prometheus.GaugeValue
	if s.kind == counter {
		as = prometheus.CounterValue
	}
	s.to <- prometheus.MustNewConstMetric(s.desc, as, value, s.with(labels)...)
}

func (s *samples) count(n uint64, labels ...string) { s.add(float64(n), labels...) }

func (s *samples) flag(is bool) {
	value := 0.0
	if is {
		value = 1
	}
	s.add(value)
}

// byReason adds the counts of the reasons, and as another what the total has besides them.
func (s *samples) byReason(total uint64, counts map[protocol.Reason]uint64, reasons []protocol.Reason, labels ...string) {
	for _, r := range reasons {
		s.count(counts[r], append(labels, string(r))...)
		total -= counts[r]
	}
	s.count(total, append(labels, otherReason)...)
}

// durations adds a histogram.
func (s *samples) durations(d *latency.Snapshot) {
	zero, buckets := d.Native()
	s.to <- both{
		prometheus.MustNewConstNativeHistogram(s.desc, d.Count, d.Sum.Seconds(), buckets, nil, zero,
			latency.Schema, latency.ZeroThreshold, time.Time{}, s.labels...),
		prometheus.MustNewConstHistogram(s.desc, d.Count, d.Sum.Seconds(), d.Classic(), s.labels...),
	}
}

// both is a histogram that is native in the protobuf format, and classic in each format.
type both struct{ native, classic prometheus.Metric }

// Desc implements prometheus.Metric.
func (b both) Desc() *prometheus.Desc { return b.native.Desc() }

// Write implements prometheus.Metric.
func (b both) Write(out *dto.Metric) error {
	var classic dto.Metric
	if err := b.classic.Write(&classic); err != nil {
		return err
	}
	if err := b.native.Write(out); err != nil {
		return err
	}
	out.Histogram.Bucket = classic.GetHistogram().GetBucket()
	out.Histogram.CreatedTimestamp = nil // the clock of a board may be set after the start
	return nil
}
