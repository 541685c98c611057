package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
	"github.com/stepagent/stepagent/agent/internal/testkit/freeport"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

const (
	fleetAgents = 3
	// fleetPause is how long a process is stopped: longer than any connection waits for it.
	fleetPause = 6 * time.Second
	// fleetTolerance, in seconds, is more than a paused agent needs to read what came meanwhile.
	fleetTolerance = 9
)

// TestFleetKills ends and pauses agents that share their sessions, and the servers that store them, while
// clients perform procedures and go on at another agent. Every verdict is compared to a model: no step that was
// acknowledged is missing or judged twice, and no client is blamed.
func TestFleetKills(t *testing.T) {
	soaktest.Only(t)
	here := slices.Repeat([]natstest.Place{{Address: "127.0.0.1"}}, fleetAgents)
	f := newFleet(t, 18, here, here)
	f.perform([]fleetWay{
		{"an agent killed", 600, 4, func() { f.replace(syscall.SIGKILL, f.agent()) }},
		{"an agent stopped", 100, 1, func() { f.replace(syscall.SIGTERM, f.agent()) }},
		{"all agents killed", 60, 1, func() { f.replace(syscall.SIGKILL, f.agents...) }},
		{"an agent paused", 40, 1, f.pauseAgent},
		{"a server killed", 100, 1, func() { f.killServers(f.server()) }},
		{"a server paused", 20, 1, f.pauseServer},
		{"all servers killed", 20, 1, func() { f.killServers(f.servers...) }},
	})
}

// A fleetWay is a way to disturb agents that share their sessions, and how often it is done: in full, and in
// the usual case.
type fleetWay struct {
	name        string
	full, usual int
	do          func()
}

// A fleetKills is agents that share three servers, and their clients.
type fleetKills struct {
	killsClients
	servers []*natstest.Node
	conn    *natsconn.Conn // of the test, to all servers
	agents  []*agentProcess
	random  *rand.Rand
	done    map[string]int
}

// newFleet starts three servers and agents at these places. The agents publish their results too.
func newFleet(t *testing.T, seed uint64, servers, agents []natstest.Place) *fleetKills {
	t.Helper()
	f := &fleetKills{killsClients: newKillsClients(t), random: rand.New(rand.NewPCG(seed, 18)), done: map[string]int{},
		servers: natstest.Cluster(t, 3, natstest.Processes(), natstest.SyncAlways(), natstest.At(servers))}
	var err error
	if f.conn, err = natsconn.Connect(natsconn.Options{URLs: natstest.URLs(f.servers)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.conn.Close)
	for n, place := range agents {
		port, err := freeport.Free()
		if err != nil {
			t.Fatal(err)
		}
		a := newAgent(t, fmt.Sprintf(`
host = %q
port = %s
[nats]
url = ["%s"]
[record]
enabled = true
dir = %q
[fleet]
board = "agent-%d"
results = true
[session]
steps = %d
store = "nats"
[[validators]]
name = "sequence"
settings = { after_bad_step = "hold" }
[[validators]]
name = "min_timeout"
settings = { seconds = %d }
[[validators]]
name = "pacing"
settings = { tolerance_seconds = %d }
`, place.Address, port, strings.Join(natstest.URLs(f.servers), `", "`), t.TempDir(), n+1, soakSteps, soakSeconds, fleetTolerance))
		if a.host, a.port = place.Address, port; place.Enter != nil {
			a.enter = append(slices.Clone(place.Enter), named(t))
		}
		f.agents = append(f.agents, a)
	}
	first := f.agents[0]
	if out, err := first.command("create-bucket", "--config", first.configFile(), "--replicas", "3").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	waitFor(t, "the stream", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := f.conn.JS.CreateStream(ctx, jetstream.StreamConfig{Name: fleet.Stream("default"), Subjects: fleet.Subjects("default"),
			Discard: jetstream.DiscardNew, Replicas: len(f.servers)})
		return err == nil
	})
	for _, a := range f.agents {
		f.launch(a)
	}
	f.serve(f.agents...)
	return f
}

// launch starts an agent and does not wait.
func (f *fleetKills) launch(a *agentProcess) {
	f.t.Helper()
	a.stderr = &lockedBuffer{}
	a.begin(a.command("serve", "--config", a.configFile(), "--log-format", "json"))
}

// serve waits until agents accept connections.
func (f *fleetKills) serve(agents ...*agentProcess) {
	f.t.Helper()
	for _, a := range agents {
		waitFor(f.t, "an agent to start", func() bool { return a.started() != "" })
	}
}

// endAgent ends an agent by a signal.
func (f *fleetKills) endAgent(a *agentProcess, by syscall.Signal) {
	f.t.Helper()
	a.signal(by)
	_ = a.wait() // the process's state has more
	want := by
	if by == syscall.SIGTERM {
		want = 0
	}
	if status := a.cmd.ProcessState.Sys().(syscall.WaitStatus); syscall.Signal(status) != want {
		f.t.Errorf("an agent's end: %v; its log:\n%s", a.cmd.ProcessState, tail(a.stderr.String()))
	}
	for line := range strings.Lines(a.stderr.String()) {
		if strings.Contains(line, `"level":"ERROR"`) && !strings.Contains(line, `"reason":"busy"`) { // as without servers
			f.t.Errorf("an agent logged %s", line)
		}
	}
}

func (f *fleetKills) agent() *agentProcess   { return f.agents[f.random.IntN(len(f.agents))] }
func (f *fleetKills) server() *natstest.Node { return f.servers[f.random.IntN(len(f.servers))] }

// perform lets the clients begin, disturbs all of it, and lets them end.
func (f *fleetKills) perform(ways []fleetWay) {
	f.t.Helper()
	var addresses []string
	for _, a := range f.agents {
		addresses = append(addresses, a.address())
	}
	f.begin(addresses...)
	f.disturb(ways)
	f.end()
	f.t.Logf("disturbed: %v", f.done)
	f.report()
}

// disturb disturbs all of it in each way, in a random order.
func (f *fleetKills) disturb(ways []fleetWay) {
	f.t.Helper()
	var all []fleetWay
	for _, w := range ways {
		all = append(all, slices.Repeat([]fleetWay{w}, soaktest.Repetitions(f.t, w.full, w.usual))...)
	}
	f.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for i, w := range all {
		f.steps(f.random.Int64N(4 * killsClientCount))
		w.do()
		f.done[w.name]++
		if f.t.Failed() {
			f.t.Fatalf("after %d disturbances, the last: %s; the agents' logs:\n%s", i, w.name, f.logs())
		}
		f.t.Logf("%d of %d: %s, %d steps", i+1, len(all), w.name, f.judged.Load())
	}
	f.steps(10 * killsClientCount)
}

func (f *fleetKills) logs() (all string) {
	for _, a := range f.agents {
		all += tail(a.stderr.String())
	}
	return all
}

// replace ends agents and starts them again.
func (f *fleetKills) replace(by syscall.Signal, agents ...*agentProcess) {
	f.t.Helper()
	for _, a := range agents {
		f.endAgent(a, by)
	}
	if len(agents) == 1 {
		f.steps(killsClientCount) // with the others
	}
	for _, a := range agents {
		f.launch(a)
	}
	f.serve(agents...)
}

// pauseAgent stops an agent beyond every timeout. When it wakes up, its sessions are elsewhere.
func (f *fleetKills) pauseAgent() {
	a := f.agent()
	a.signal(syscall.SIGSTOP)
	time.Sleep(fleetPause)
	f.steps(killsClientCount)
	a.signal(syscall.SIGCONT)
}

// killServers kills servers and starts them again.
func (f *fleetKills) killServers(servers ...*natstest.Node) {
	natstest.KillFor(time.Duration(f.random.IntN(2000))*time.Millisecond, servers...)
}

func (f *fleetKills) pauseServer() {
	s := f.server()
	s.Stop()
	time.Sleep(fleetPause)
	s.Continue()
}

// end lets the clients finish their sessions, and ends the agents once their results are published.
func (f *fleetKills) end() {
	f.t.Helper()
	f.finish()
	for _, a := range f.agents {
		waitFor(f.t, "the results", func() bool {
			s := a.status()
			return s.Record.Queued == 0 && s.Fleet.Results.LagBytes == 0
		})
	}
	for _, a := range f.agents {
		f.endAgent(a, syscall.SIGTERM)
	}
}
