package peers

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// measurements are what has been measured, several times each, by name.
type measurements struct {
	b      *testing.B
	values map[string][]float64
}

func newMeasurements(b *testing.B) *measurements {
	return &measurements{b: b, values: map[string][]float64{}}
}

func (m *measurements) add(name string, value float64) {
	m.values[name] = append(m.values[name], value)
}

// median returns the one in the middle.
func (m *measurements) median(name string) float64 {
	all := slices.Sorted(slices.Values(m.values[name]))
	if len(all) == 0 {
		m.b.Fatalf("nothing was measured as %q", name)
	}
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// ratio returns the median of the ratios of what was measured in the same round, so that
// what slows the machine down for a while slows down both. It is not a number where -only leaves one out.
func (m *measurements) ratio(over, under string) float64 {
	a, b := m.values[over], m.values[under]
	if *only != "" && len(a)*len(b) == 0 {
		return math.NaN()
	}
	if len(a) == 0 || len(a) != len(b) {
		m.b.Fatalf("%q was measured %d times and %q %d times", over, len(a), under, len(b))
	}
	name := over + " / " + under
	if len(m.values[name]) == 0 {
		for i := range a {
			m.add(name, a[i]/b[i])
		}
	}
	return m.median(name)
}

// A target is a bound of a figure.
type target struct {
	what string
	unit string  // for the metric
	got  float64 // as measured
	want float64
	// atMost says that the figure must not be above want, else that it must not be below.
	atMost bool
	// loose is the bound on any machine, however busy.
	loose float64
	shown string // format of both numbers
}

// looseAlone is the loose bound of a lone client's latency. A short round finds server and client either on
// one core or on two, and where a core sleeps deeply, one round takes seven times as long as another.
const looseAlone = 30

func (t target) met(want float64) bool {
	if t.atMost {
		return t.got <= want
	}
	return t.got >= want
}

const mebibyte = 1 << 20

func targets(m *measurements) []target {
	over := func(name, than string, clients int, what string) float64 {
		return m.ratio(fmt.Sprintf("%s/%d/%s", name, clients, what), fmt.Sprintf("%s/%d/%s", than, clients, what))
	}
	return []target{
		{"256 clients, throughput, of the echo server's", "x-echo", over("agent", "echo", many, "throughput"), 1, false, 0.15, "%.2f"},
		{"256 clients, throughput, of the in-process server's", "x-in-process", over("agent", "in-process", many, "throughput"), 0.95, false, 0.2, "%.2f"},
		{"256 clients, CPU time a step, of the in-process server's", "x-cpu", over("agent", "in-process", many, "cpu"), 1.05, true, 8, "%.2f"},
		{"1 client, median latency, of the echo server's", "x-p50-echo", over("agent", "echo", 1, "p50"), 1.10, true, looseAlone, "%.2f"},
		{"1 client, median latency, of the limit's", "x-p50-limit", over("agent", limitName, 1, "p50"), 1.5, true, looseAlone, "%.2f"},
		{"8000 clients, throughput, of that at 256", "x-crowd", m.ratio(fmt.Sprintf("agent/%d/throughput", crowd), fmt.Sprintf("agent/%d/throughput", many)), 0.70, false, 0.03, "%.2f"},
		{"every step a miss, 256 clients, throughput, of the echo server's", "x-miss", over(missName, "echo", many, "throughput"), 0.30, false, 0.02, "%.2f"},
		{"every step a miss, 1 client, median latency, of the limit's", "x-miss-p50", over(missName, limitName, 1, "p50"), 8, true, 2 * looseAlone, "%.2f"},
		{"resident memory a session, of 8000 (KiB)", "KiB/session", m.median("session/rss") / 1024, 3, true, 20, "%.1f"},
		{"agent and plugin at rest, PSS (MiB)", "MiB", m.median("rest/pss") / mebibyte, 24, true, 64, "%.1f"},
		{"agent and plugin at rest, private memory (MiB)", "MiB-private", m.median("rest/private") / mebibyte, 11, true, 40, "%.1f"},
		{"exec to the first reply (ms)", "ms", m.median("ready") * 1000, 100, true, 2000, "%.0f"},
	}
}

// viewTargets are those of the agents that serve HTTP, compared with the one that does not.
func viewTargets(m *measurements) (list []target) {
	for _, peer := range []struct {
		name, unit string
		within     float64
	}{{unwatchedName, "x-http", 0.01}, {watchedName, "x-viewers", 0.05}} {
		over := func(clients int, what string) float64 {
			return m.ratio(fmt.Sprintf("%s/%d/%s", peer.name, clients, what), fmt.Sprintf("agent/%d/%s", clients, what))
		}
		list = append(list,
			target{peer.name + ", 256 clients, throughput, of the agent's", peer.unit, over(many, "throughput"), 1 - peer.within, false, 0.3, "%.3f"},
			target{peer.name + ", 256 clients, median latency, of the agent's", peer.unit + "-p50", over(many, "p50"), 1 + peer.within, true, 4, "%.3f"},
			target{peer.name + ", 1 client, median latency, of the agent's", peer.unit + "-p50-1", over(1, "p50"), 1 + peer.within, true, looseAlone, "%.3f"})
	}
	return list
}

// report prints what was measured and holds it to targets.
func report(b *testing.B, m *measurements, held []target) {
	var out strings.Builder
	fmt.Fprintf(&out, "\n%s, %d cores, %s; medians of %d rounds of %v\n\n", machine(), runtime.NumCPU(), runtime.Version(), *rounds, *slice)
	for _, clients := range []int{many, 1, crowd} {
		heading := fmt.Sprintf("%-22s %10s %12s %10s %10s\n", fmt.Sprintf("%d clients", clients), "steps/s", "CPU a step", "p50", "p99")
		for _, name := range []string{limitName, "echo", "in-process", "agent", unwatchedName, watchedName, restartName, powerCutName, sharedName, noKeptName, missName, ownGo, ownPython, "redis"} {
			at := fmt.Sprintf("%s/%d/", name, clients)
			if len(m.values[at+"cpu"]) == 0 {
				continue
			}
			out.WriteString(heading)
			heading = ""
			fmt.Fprintf(&out, "  %-20s %10.0f %9.1f µs %7.0f µs %7.0f µs\n", name, m.median(at+"throughput"),
				m.median(at+"cpu")*1e6, m.median(at+"p50")*1e6, m.median(at+"p99")*1e6)
		}
	}
	for name, needs := range map[string]string{"redis": "redis-server", ownPython: "python3-grpcio and python3-protobuf"} {
		if len(m.values["ready"]) > 0 && len(m.values[name+"/1/cpu"]) == 0 && wanted(name) {
			fmt.Fprintf(&out, "%s: not measured, which needs %s\n", name, needs)
		}
	}
	if len(m.values["rest/pss"]) > 0 {
		fmt.Fprintf(&out, "at rest %.1f MiB PSS, %.1f MiB RSS, %.1f MiB private; a session %.0f bytes PSS, %.0f bytes RSS\n\n",
			m.median("rest/pss")/mebibyte, m.median("rest/rss")/mebibyte, m.median("rest/private")/mebibyte, m.median("session/pss"), m.median("session/rss"))
	}
	if len(m.values["fdatasync"]) > 0 {
		fmt.Fprintf(&out, "400 bytes appended and synced: %.0f µs\n\n", m.median("fdatasync")*1e6)
	}
	if len(m.values["kills/number"]) > 0 {
		fmt.Fprintf(&out, "%.0f kills of the plugin under 256 clients: %.0f steps/s, every reply as it must be\n\n",
			m.median("kills/number"), m.median("kills/throughput"))
	}
	for _, t := range held {
		if math.IsNaN(t.got) {
			continue
		}
		word, sign := "met", "at least"
		if t.atMost {
			sign = "at most"
		}
		if !t.met(t.want) {
			word = "MISSED"
		}
		fmt.Fprintf(&out, "%-64s "+t.shown+"  (%s "+t.shown+") %s\n", t.what, t.got, sign, t.want, word)
		b.ReportMetric(t.got, t.unit)
		if *limits == "target" && !t.met(t.want) || *limits == "loose" && !t.met(t.loose) {
			b.Errorf("%s: %v, limits %s", t.what, t.got, *limits)
		}
	}
	_, _ = os.Stdout.WriteString(out.String()) // a benchmark's log is shown cut
}

// machine names the processor and the kernel.
func machine() string {
	name := "unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				name = strings.TrimSpace(value)
				break
			}
		}
	}
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return name + ", Linux " + strings.TrimSpace(string(release))
}
