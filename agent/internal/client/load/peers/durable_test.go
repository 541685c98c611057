package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/client/load"
)

// Agents whose sessions survive.
const (
	restartName  = "survives a restart"
	powerCutName = "survives a power cut"
)

// startDurable runs an agent with the default validators whose sessions survive what the config says.
func (s *starter) startDurable(name, survives string) *peer {
	return s.startDurableFor(name, survives, steps(s.b))
}

func (s *starter) startDurableFor(name, survives string, plan load.Plan) *peer {
	return s.startAgentFor(name, fmt.Sprintf("[session]\nsurvives = %q\ndir = %q\n", survives, filepath.Join(s.dir, survives)), plan)
}

// syncs is how many writes are synced in one round.
const syncs = 50

// sync measures how long the disk takes for what a lone step costs: 400 bytes appended and synced.
func (m *measurements) sync(dir string) {
	if !wanted(powerCutName) {
		return
	}
	file, err := os.Create(filepath.Join(dir, "synced"))
	if err != nil {
		m.b.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for range syncs {
		began := time.Now()
		if _, err := file.Write(make([]byte, 400)); err != nil {
			m.b.Fatal(err)
		}
		if err := unix.Fdatasync(int(file.Fd())); err != nil {
			m.b.Fatal(err)
		}
		m.add("fdatasync", time.Since(began).Seconds())
	}
}

// durableTargets are those of the agents whose sessions survive, compared with the one that keeps them in
// memory.
func durableTargets(m *measurements) []target {
	at := func(name string, clients int, what string) string {
		return fmt.Sprintf("%s/%d/%s", name, clients, what)
	}
	list := []target{
		{restartName + ", 256 clients, throughput, of the agent's", "x-restart", m.ratio(at(restartName, many, "throughput"), at("agent", many, "throughput")), 0.90, false, 0.2, "%.2f"},
		{restartName + ", 1 client, median latency, of the agent's", "x-restart-p50", m.ratio(at(restartName, 1, "p50"), at("agent", 1, "p50")), 1.2, true, looseAlone, "%.2f"},
		{powerCutName + ", 256 clients, throughput, of the agent's", "x-power-cut", m.ratio(at(powerCutName, many, "throughput"), at("agent", many, "throughput")), 0.60, false, 0.02, "%.2f"},
	}
	if len(m.values["fdatasync"]) > 0 && wanted("agent") {
		more := (m.median(at(powerCutName, 1, "p50")) - m.median(at("agent", 1, "p50"))) / m.median("fdatasync")
		list = append(list, target{powerCutName + ", 1 client, median latency, fdatasyncs more", "fdatasyncs", more, 1.6, true, looseAlone, "%.2f"})
	}
	return list
}
