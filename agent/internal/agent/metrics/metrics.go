// Package metrics shows the state of a running agent to Prometheus.
//
// Everything is read when it is asked for, from what the agent counts anyway, so that metrics cost
// nothing between two scrapes. Labels have values from closed lists or from the config, never from
// clients, which bounds the number of time series. docs/metrics.md describes each metric.
package metrics

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/stepagent/stepagent/agent/internal/agent/auditwriter"
	"github.com/stepagent/stepagent/agent/internal/agent/latency"
	"github.com/stepagent/stepagent/agent/internal/agent/outbox"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// A State is what the metrics show.
type State struct {
	// Version and Commit are those of the agent.
	Version, Commit string
	// Degraded says that something is not as it should be.
	Degraded    bool
	Connections server.Stats
	Sessions    session.Stats
	// Store is what keeps sessions beyond the agent's process.
	Store sessionstore.Status
	// Expiries are when certificates end, the earliest by role: certificate, client_ca, crl.
	Expiries map[string]time.Time
	// SessionLimit is the limit of open sessions.
	SessionLimit int
	// Steps is how long steps took, from the whole request to the written reply.
	Steps latency.Snapshot
	// Generation is the number of the validators in force, which are Validators.
	Generation uint64
	Validators []pluginhost.Counts
	Reloads    Reloads
	Record     auditwriter.Status
	// NATS is whether the config names servers of NATS, and Connected whether one is connected to.
	NATS, Connected bool
	// Results is the state of publishing the record.
	Results outbox.Status
	Log     logging.Stats
}

// Reloads count the reloads of the config.
type Reloads struct {
	Applied, Refused uint64
	// LastRefused says that the last one was refused.
	LastRefused bool
	// InForce is when the config in force was put in force, by a reload or at the start.
	InForce time.Time
}

// maxScrapes bounds the requests at a time; those that come at once share one reading.
const maxScrapes = 8

// New returns the handler for scrapes. Each calls read once.
func New(read func() State, log *slog.Logger) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(read), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: maxScrapes,
		CoalesceGather:      true,
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	})
}
