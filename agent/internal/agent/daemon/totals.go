package daemon

import (
	"slices"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/auditwriter"
	"github.com/stepagent/stepagent/agent/internal/agent/latency"
	"github.com/stepagent/stepagent/agent/internal/agent/metrics"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
)

// totals are the counts of the agent since its start where a reload replaces what counts.
type totals struct {
	validators *pluginhost.Totals

	mu      sync.Mutex // guards the fields below
	reloads metrics.Reloads
	ending  []*auditwriter.Writer // records that were replaced and are not closed yet
	ended   auditwriter.Status    // the counts of those that are
}

func newTotals(set *pluginhost.Set) *totals {
	return &totals{validators: pluginhost.NewTotals(set), reloads: metrics.Reloads{InForce: time.Now()}}
}

// reloaded counts a reload, which failed unless err is nil.
func (t *totals) reloaded(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reloads.LastRefused = err != nil
	if err != nil {
		t.reloads.Refused++
		return
	}
	t.reloads.Applied++
	t.reloads.InForce = time.Now()
}

// endRecord notes that a record has been replaced, and endedRecord that it is closed; nil is none. The
// caller of endRecord holds Agent.mu.
func (t *totals) endRecord(w *auditwriter.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w != nil {
		t.ending = append(t.ending, w)
	}
}

func (t *totals) endedRecord(w *auditwriter.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.ending, w); i >= 0 {
		t.ending = slices.Delete(t.ending, i, i+1)
		addRecord(&t.ended, w.Status())
	}
}

// addRecord adds the counts of another record.
func addRecord(to *auditwriter.Status, other auditwriter.Status) {
	to.Written += other.Written
	to.Dropped += other.Dropped
	to.Lost += other.Lost
}

// metrics returns what the metrics show now.
func (a *Agent) metrics() metrics.State {
	s, _ := a.state()
	state := metrics.State{
		Version: s.Version, Commit: version.Commit(), Degraded: len(s.Trouble) > 0,
		Connections: s.Connections, Sessions: s.Sessions, Store: s.Store, SessionLimit: a.current().Limits.Sessions,
		Steps: a.server.Took(), Generation: s.Generation, Validators: a.totals.validators.Counts(),
		NATS: s.Fleet.Name != "", Connected: s.Fleet.Connected, Results: s.Fleet.Results,
		Log: s.Log, Expiries: map[string]time.Time{},
	}
	for _, c := range s.Certificates {
		if first := state.Expiries[c.Role]; !c.NotAfter.IsZero() && (first.IsZero() || c.NotAfter.Before(first)) {
			state.Expiries[c.Role] = c.NotAfter
		}
	}
	t := a.totals
	a.mu.Lock() // in which a reload replaces the record
	defer a.mu.Unlock()
	if a.record != nil {
		state.Record = a.record.Status()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	state.Reloads = t.reloads
	state.Reloads.InForce = byNow(time.Now(), t.reloads.InForce)
	addRecord(&state.Record, t.ended)
	for _, w := range t.ending {
		addRecord(&state.Record, w.Status())
	}
	return state
}

// recentLatency returns a function that returns the quantiles of what was counted since its last call;
// false if that is nothing.
func recentLatency(took func() latency.Snapshot) func() (median, p99 time.Duration, ok bool) {
	before := took()
	return func() (median, p99 time.Duration, ok bool) {
		now := took()
		recent := now.Since(&before)
		before = now
		s := recent.Summary()
		return s.P50, s.P99, recent.Count > 0
	}
}
