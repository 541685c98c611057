package metrics

import (
	"bytes"
	"flag"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/stepagent/stepagent/agent/internal/agent/auditwriter"
	"github.com/stepagent/stepagent/agent/internal/agent/latency"
	"github.com/stepagent/stepagent/agent/internal/agent/outbox"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/internal/agent/verdictcache"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/protocol"
)

var update = flag.Bool("update", false, "rewrite testdata/metrics.txt")

// snapshot returns a histogram of these durations.
func snapshot(durations ...time.Duration) latency.Snapshot {
	var h latency.Histogram
	for _, d := range durations {
		h.Add(d)
	}
	return h.Snapshot()
}

// busy returns a state in which each value is another.
func busy() State {
	return State{
		Version: "1.2.3", Commit: "abc", Degraded: true,
		Connections: server.Stats{Open: 11, Limit: 12, Accepted: 13, Refused: 14, NotAllowed: 15, RefusedMessages: 31,
			RefusedByReason: map[protocol.Reason]uint64{protocol.BadMessage: 1, protocol.BadRequest: 2, protocol.Busy: 4, protocol.ShuttingDown: 8, protocol.Internal: 16},
			TLS:             9, Handshakes: map[server.HandshakeOutcome]uint64{server.HandshakeOK: 16, server.HandshakeFailed: 17, server.HandshakeTimedOut: 18,
				server.HandshakeRefused: 19}},
		Sessions: session.Stats{Open: 21, Completed: 22, Incomplete: 23, MovedIn: 91, MovedOut: 92, Passed: 24, Failed: 15, Undecided: 48, Replayed: 26, RememberedBytes: 27,
			ByReason: map[protocol.Reason]uint64{protocol.OutOfOrder: 1, protocol.TimeoutTooShort: 2, protocol.IntervalNotKept: 4, protocol.RuleBroken: 8,
				protocol.ValidatorUnavailable: 16, protocol.ShuttingDown: 32}},
		Store: sessionstore.Status{Survives: "restart", Dir: "/x", Bytes: 81, Sessions: 82, Commits: 83, Syncs: 84, Snapshots: 85,
			Conflicts: 88, Loads: 89, Resent: 90,
			Trouble: "disk full", Restored: 86, Dropped: 87, Damaged: []string{"log-3.damaged"}},
		SessionLimit: 28,
		Expiries:     map[string]time.Time{"certificate": time.Unix(1_800_000_000, 0), "client_ca": time.Unix(1_900_000_000, 0)},
		Steps:        snapshot(time.Microsecond/2, time.Millisecond, time.Second, time.Minute),
		Generation:   3,
		Validators: []pluginhost.Counts{
			{Validators: []string{"sequence", "min_timeout"}, Serving: true, Restarts: 31, Steps: 32, Errors: 33,
				Kept: verdictcache.Status{Hits: 34, Misses: 35, Entries: 36, Bytes: 37, Differing: 38},
				Took: snapshot(2 * time.Millisecond), Queued: snapshot(3*time.Microsecond, 4*time.Microsecond)},
			{Validators: []string{"voltage"}, Refusing: true, Restarts: 41},
		},
		Reloads: Reloads{Applied: 51, Refused: 52, LastRefused: true, InForce: time.UnixMilli(53_500)},
		Record:  auditwriter.Status{Enabled: true, Queued: 61, Written: 62, Dropped: 63, Lost: 64, Error: "disk full"},
		NATS:    true, Connected: true,
		Results: outbox.Status{Enabled: true, Published: 91, Dropped: 92, Messages: 93, Duplicates: 94, LagBytes: 95,
			LagSeconds: jsonl.Seconds(96 * time.Second), Error: "full"},
		Log: logging.Stats{Dropped: 71, Unwritten: 72},
	}
}

func registryOf(s State) *prometheus.Registry {
	registry := prometheus.NewPedanticRegistry() // which checks each metric by its description
	registry.MustRegister(newCollector(func() State { return s }))
	return registry
}

func gather(t *testing.T, s State) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := registryOf(s).Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*dto.MetricFamily{}
	for _, f := range families {
		byName[f.GetName()] = f
	}
	return byName
}

// TestMetrics compares names, types, texts, labels and values with testdata/metrics.txt.
func TestMetrics(t *testing.T) {
	const file = "testdata/metrics.txt"
	families, err := registryOf(busy()).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	got := bytes.ReplaceAll(text.Bytes(), []byte(runtime.Version()), []byte("go1.x"))
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the metrics differ from %s, which -update rewrites; got:\n%s", file, got)
	}
}

func TestLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(registryOf(busy()))
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

// TestLabelsAreClosed: the number of time series depends on the validators in the config alone, and a
// reason that no list has counts as another.
func TestLabelsAreClosed(t *testing.T) {
	count := func(s State) (n int) {
		for _, f := range gather(t, s) {
			n += len(f.GetMetric())
		}
		return n
	}
	empty, two := State{}, State{Validators: make([]pluginhost.Counts, 2)}
	two.Validators[0].Validators, two.Validators[1].Validators = []string{"a", "b"}, []string{"c"}
	strange := busy()
	strange.Sessions.ByReason = map[protocol.Reason]uint64{"strange": 10, protocol.OutOfOrder: 5, "stranger": 48}
	strange.Connections.RefusedByReason = map[protocol.Reason]uint64{"strange": 31}
	perProcess := 0
	for _, m := range metrics {
		if slices.Equal(m.labels, []string{"validators"}) {
			perProcess++
		}
	}
	without := count(empty)
	for name, s := range map[string]State{"two processes": two, "busy": busy(), "strange reasons": strange} {
		if got, want := count(s), without+2*perProcess+len(s.Expiries); got != want {
			t.Errorf("%s: %d time series, want %d", name, got, want)
		}
	}
	families := gather(t, strange)
	other := map[string]float64{}
	for _, name := range []string{"stepagent_steps_total", "stepagent_messages_refused_total"} {
		for _, m := range families[name].GetMetric() {
			labels := labelsOf(m)
			if labels["reason"] == "other" {
				other[name+" "+labels["outcome"]] = m.GetCounter().GetValue()
			}
		}
	}
	want := map[string]float64{"stepagent_steps_total fail": 10, "stepagent_steps_total undecided": 48, "stepagent_messages_refused_total ": 31}
	if !maps.Equal(other, want) {
		t.Errorf("other reasons: %v, want %v", other, want)
	}
}

// TestAllReasonsAreListed: no reason that a reply may have counts as another.
func TestAllReasonsAreListed(t *testing.T) {
	listed := slices.Concat(protocol.Judged(), session.UndecidedReasons(), server.RefusalReasons())
	for _, r := range protocol.Sent() {
		if !slices.Contains(listed, r) {
			t.Errorf("the reason %s is in no list", r)
		}
	}
}

func labelsOf(m *dto.Metric) map[string]string {
	labels := map[string]string{}
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	return labels
}

// scrape asks the handler in a format; empty for what a browser gets.
func scrape(t *testing.T, h http.Handler, accept string) (http.Header, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("status %d", w.Code)
	}
	return w.Header(), w.Body.String()
}

func handler(read func() State) http.Handler { return New(read, slog.New(slog.DiscardHandler)) }

// TestFormats: classic buckets in both text formats, and native ones besides in protobuf.
func TestFormats(t *testing.T) {
	h := handler(busy)
	for accept, want := range map[string]struct{ contentType, line string }{
		"": {"text/plain; version=0.0.4", `stepagent_step_duration_seconds_bucket{le="1"} 3`},
		"application/openmetrics-text;version=1.0.0": {"application/openmetrics-text; version=1.0.0", `stepagent_step_duration_seconds_bucket{le="1.0"} 3`},
	} {
		header, body := scrape(t, h, accept)
		if got := header.Get("Content-Type"); !strings.HasPrefix(got, want.contentType) {
			t.Errorf("accept %q: %s", accept, got)
		}
		if !strings.Contains(body, want.line+"\n") {
			t.Errorf("accept %q: no line %s", accept, want.line)
		}
		for _, name := range []string{"go_goroutines", "process_resident_memory_bytes", "process_open_fds"} {
			if !strings.Contains(body, "\n"+name+" ") {
				t.Errorf("accept %q: no metric %s", accept, name)
			}
		}
	}

	header, body := scrape(t, h, "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	decoder := expfmt.NewDecoder(strings.NewReader(body), expfmt.ResponseFormat(header))
	for {
		var f dto.MetricFamily
		if err := decoder.Decode(&f); err == io.EOF {
			t.Fatal("no step_duration_seconds in protobuf")
		} else if err != nil {
			t.Fatal(err)
		}
		if f.GetName() != "stepagent_step_duration_seconds" {
			continue
		}
		got := f.GetMetric()[0].GetHistogram()
		if got.GetSchema() != latency.Schema || got.GetZeroCount() != 1 || len(got.GetPositiveDelta()) < 3 || len(got.GetBucket()) != 21 || got.GetSampleCount() != 4 {
			t.Errorf("got %v", got)
		}
		return
	}
}

// TestScrapesShareOneReading: scrapes that come at once read the state once.
func TestScrapesShareOneReading(t *testing.T) {
	var reads atomic.Int32
	entered, release := make(chan struct{}), make(chan struct{})
	h := handler(func() State {
		if reads.Add(1) == 1 {
			close(entered)
		}
		<-release
		return busy()
	})
	var scraping sync.WaitGroup
	scraping.Go(func() { scrape(t, h, "") })
	<-entered
	started := make(chan struct{}, maxScrapes)
	for range maxScrapes - 1 {
		scraping.Go(func() {
			started <- struct{}{}
			scrape(t, h, "")
		})
	}
	for range maxScrapes - 1 {
		<-started
	}
	time.Sleep(10 * time.Millisecond) // until they wait for the first
	close(release)
	scraping.Wait()
	if n := reads.Load(); n >= maxScrapes {
		t.Errorf("%d scrapes read the state %d times", maxScrapes, n)
	}
}

func BenchmarkScrape(b *testing.B) {
	h := handler(busy)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	}
}
