package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
)

const namespace = "stepagent"

// A kind is the type of a metric.
type kind uint8

const (
	gauge kind = iota
	counter
	histogram
)

// A metric is one metric of the agent.
type metric struct {
	name   string // without the namespace
	kind   kind
	help   string
	labels []string
	read   func(s *State, to *samples)
}

// each returns a metric with a value for each process of validators. The label has their names.
func each(name string, kind kind, help string, read func(c *pluginhost.Counts, to *samples)) metric {
	return metric{name, kind, help, []string{"validators"}, func(s *State, to *samples) {
		for i := range s.Validators {
			c := &s.Validators[i]
			read(c, &samples{to.desc, to.kind, []string{strings.Join(c.Validators, ",")}, to.to})
		}
	}}
}

// A collector is a prometheus.Collector of all metrics.
type collector struct {
	read  func() State
	descs []*prometheus.Desc // of metrics
}

func newCollector(read func() State) *collector {
	c := &collector{read: read}
	for _, m := range metrics {
		c.descs = append(c.descs, prometheus.NewDesc(prometheus.BuildFQName(namespace, "", m.name), m.help, m.labels, nil))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	state := c.read()
	for i, m := range metrics {
		m.read(&state, &samples{c.descs[i], m.kind, nil, to})
	}
}
