package daemon_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scrape returns what the admin socket shows to Prometheus: counters and histograms' counts, and gauges,
// by name and labels.
func scrape(t *testing.T, socket string) (counters, gauges map[string]float64) {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("http://stepagent/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	counters, gauges = map[string]float64{}, map[string]float64{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			key := name
			for _, l := range m.GetLabel() {
				key += " " + l.GetValue()
			}
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				counters[key] = m.GetCounter().GetValue()
			case dto.MetricType_HISTOGRAM:
				counters[key] = float64(m.GetHistogram().GetSampleCount())
			default:
				gauges[key] = m.GetGauge().GetValue()
			}
		}
	}
	return counters, gauges
}

// TestCountersOverReloads: no counter goes down when validators and the record are replaced, and steps
// and reloads are counted once.
func TestCountersOverReloads(t *testing.T) {
	t.Parallel()
	record := filepath.Join(t.TempDir(), "record")
	with := func(enabled bool) string {
		return fmt.Sprintf("port = 0\n[record]\nenabled = %v\ndir = %q\n[[validators]]\nname = \"sequence\"\n", enabled, record)
	}
	o, file := options(t, with(true))
	a := start(t, o)
	_, port, err := net.SplitHostPort(a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(o.RuntimeDir, "admin-"+port+".sock")
	steps := func(n int) {
		t.Helper()
		c, err := net.Dial("tcp", a.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		replies := bufio.NewReader(c)
		for i := range n {
			if _, err := fmt.Fprintf(c, `{"step_id":%d}`, i+1); err != nil {
				t.Fatal(err)
			}
			if _, err := replies.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := map[string]float64{}
	check := func(when string) {
		t.Helper()
		now, _ := scrape(t, socket)
		for name, n := range before {
			if now[name] < n {
				t.Errorf("%s: %s went from %v to %v", when, name, n, now[name])
			}
		}
		before = now
	}
	const rounds = 4
	refused := 1 // at the end
	for round := range rounds {
		steps(10)
		check(fmt.Sprint("after the steps of round ", round))
		write(t, file, with(round%2 == 1))
		eventually(t, "the record of the earlier config is closed", func() error {
			err := a.Reload(t.Context())
			if err != nil {
				refused++
			}
			return err
		})
		check(fmt.Sprint("after reload ", round))
	}
	write(t, file, "prot = 1\n")
	if err := a.Reload(t.Context()); err == nil {
		t.Error("a wrong config was put in force")
	}
	eventually(t, "everything is counted", func() error {
		counters, gauges := scrape(t, socket)
		for name, want := range map[string]float64{
			"stepagent_steps_total pass none": 10 * rounds, "stepagent_step_duration_seconds": 10 * rounds,
			"stepagent_validator_steps_total sequence": 10 * rounds, "stepagent_config_reloads_total applied": rounds,
			"stepagent_config_reloads_total refused": float64(refused), "stepagent_record_events_written_total": 10*rounds/2 + rounds/2,
			"stepagent_validators_generation": rounds + 1, "stepagent_config_last_reload_successful": 0, "stepagent_record_enabled": 1,
			"stepagent_validator_serving sequence": 1, "stepagent_degraded": 0,
		} {
			if got := counters[name] + gauges[name]; got != want {
				return fmt.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		return nil
	})
	check("at the end")
}
