package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
	"github.com/stepagent/stepagent/agent/internal/testkit/freeport"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

const (
	resultsClients = 8
	// resultsBurst is how many steps a client sends before it reads replies.
	resultsBurst = 50
	// resultsPatience is how long anything may take: longer than NATS waits for the acknowledgement of a
	// collecting process that was killed.
	resultsPatience = 2 * time.Minute
)

// TestFleetResults kills servers of NATS, the agent and the collecting process in turn with SIGKILL, while
// clients perform steps. The database has each event of the record, once: in full 200,000 and more.
func TestFleetResults(t *testing.T) {
	soaktest.Only(t)
	r := newFleetResults(t)
	ways := []struct {
		name string
		do   func()
	}{
		{"a server killed", func() { r.killServers(r.servers[r.random.IntN(len(r.servers))]) }},
		{"the agent killed", r.killAgent},
		{"the collecting process killed", r.killCollector},
		{"all servers killed", func() { r.killServers(r.servers...) }},
	}
	events, turns := soaktest.Repetitions(t, 200_000, 6_000), soaktest.Repetitions(t, 40, len(ways))
	for turn := range turns {
		r.judge(int64(events / turns))
		way := ways[turn%len(ways)]
		way.do()
		t.Logf("%d of %d: %s, %d steps", turn+1, turns, way.name, r.judged.Load())
	}
	for len(r.recorded()) < events { // what waits to be recorded is lost with the agent
		r.judge(1000)
	}
	close(r.halt)
	r.clients.Wait()
	r.await("the agent to have published its record", func() bool {
		s := r.status()
		return s.Record.Queued == 0 && s.Fleet.Results.LagBytes == 0
	})
	end(r.collector)
	if out, err := r.collect("--once").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	recorded, collected := r.recorded(), r.collected()
	slices.Sort(recorded)
	slices.Sort(collected)
	if !slices.Equal(recorded, collected) {
		t.Errorf("%d lines are recorded and %d collected", len(recorded), len(collected))
	}
	t.Logf("%d events of %d steps are collected, over %d kills", len(collected), r.judged.Load(), turns)
}

// fleetResults is an agent that publishes its record to three servers, its clients, and a process that
// collects into a database.
type fleetResults struct {
	t       *testing.T
	servers []*natstest.Node
	place   string // of the database
	random  *rand.Rand

	config, port, sockets string // of the agent
	record                string // its folder
	agent, collector      *exec.Cmd

	halt    chan struct{}
	clients sync.WaitGroup
	judged  atomic.Int64
}

func newFleetResults(t *testing.T) *fleetResults {
	t.Helper()
	dir := t.TempDir()
	r := &fleetResults{t: t, servers: natstest.Cluster(t, 3, natstest.Processes()), place: databasetest.File(t), random: rand.New(rand.NewPCG(18, 5)),
		config: filepath.Join(dir, "agent.toml"), record: filepath.Join(dir, "record"), halt: make(chan struct{})}
	if out, err := r.collect("--create", "--replicas", "3", "--once").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var err error
	if r.port, err = freeport.Free(); err == nil {
		r.sockets, err = daemon.TempRuntimeDir()
	}
	if err == nil {
		t.Cleanup(func() { _ = os.RemoveAll(r.sockets) })
		err = os.WriteFile(r.config, fmt.Appendf(nil, "[record]\nenabled = true\ndir = %q\nfile_mib = 2\ntotal_mib = 4096\n[nats]\nurl = [\"%s\"]\n"+
			"[fleet]\nboard = \"b\"\nresults = true\n", r.record, strings.Join(natstest.URLs(r.servers), `", "`)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.startAgent()
	t.Cleanup(func() { end(r.agent) })
	r.startCollector()
	t.Cleanup(func() { end(r.collector) })
	for n := range resultsClients {
		r.clients.Go(func() { r.perform(n) })
	}
	return r
}

// collect returns a command that collects.
func (r *fleetResults) collect(args ...string) *exec.Cmd {
	return collectCommand(r.place, r.servers, append([]string{"--timeout", "60"}, args...)...)
}

func (r *fleetResults) startCollector() {
	r.t.Helper()
	r.collector = r.collect()
	if err := r.collector.Start(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *fleetResults) startAgent() {
	r.t.Helper()
	var err error
	if r.agent, err = startAgentProcess(r.config, r.port, r.sockets); err != nil {
		r.t.Fatal(err)
	}
}

func (r *fleetResults) killCollector() {
	end(r.collector)
	r.startCollector()
}

func (r *fleetResults) killAgent() {
	end(r.agent)
	r.startAgent()
}

// killServers kills servers and starts them again.
func (r *fleetResults) killServers(servers ...*natstest.Node) {
	natstest.KillFor(time.Duration(r.random.IntN(2000))*time.Millisecond, servers...)
}

// await waits until something is done.
func (r *fleetResults) await(what string, done func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(resultsPatience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited %s for %s", resultsPatience, what)
		}
	}
}

func (r *fleetResults) status() api.Status {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), resultsPatience)
	defer cancel()
	s, err := daemon.Query[api.Status](ctx, filepath.Join(r.sockets, "admin-"+r.port+".sock"), daemon.StatusRequest)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// judge waits for some more steps.
func (r *fleetResults) judge(n int64) {
	r.t.Helper()
	goal := r.judged.Load() + n
	r.await("more steps", func() bool { return r.judged.Load() >= goal })
}

// perform performs one session after the other until the end, over another connection after each failure.
func (r *fleetResults) perform(client int) {
	for round := 0; ; round++ {
		select {
		case <-r.halt:
			return
		default:
		}
		if err := r.burst(fmt.Sprintf("c%d-%d", client, round)); err != nil {
			time.Sleep(10 * time.Millisecond) // the agent is being started
		}
	}
}

// burst sends steps of several sessions and reads the replies.
func (r *fleetResults) burst(name string) error {
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", r.port))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(resultsPatience)); err != nil {
		return err
	}
	replies := bufio.NewReader(conn)
	for burst := range 20 {
		var requests bytes.Buffer
		for i := range resultsBurst {
			fmt.Fprintf(&requests, `{"step_id":%d,"timeout":5,"session":"%s-%d-%d","req":%d}`+"\n", i%10+1, name, burst, i/10, i)
		}
		if _, err := conn.Write(requests.Bytes()); err != nil {
			return err
		}
		for range resultsBurst {
			if _, err := replies.ReadSlice('\n'); err != nil {
				return err
			}
			r.judged.Add(1)
		}
	}
	return nil
}

// recorded returns the whole lines of the record.
func (r *fleetResults) recorded() (lines []string) {
	r.t.Helper()
	names, err := filepath.Glob(filepath.Join(r.record, "*.jsonl"))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			r.t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			if whole, is := bytes.CutSuffix(line, []byte("\n")); is {
				lines = append(lines, string(whole))
			}
		}
	}
	return lines
}

// collected returns the events in the database.
func (r *fleetResults) collected() (lines []string) {
	r.t.Helper()
	for event, err := range databasetest.Open(r.t, r.place).CollectedEvents(r.t.Context(), database.CollectedFilter{}) {
		if err != nil {
			r.t.Fatal(err)
		}
		lines = append(lines, event.Line)
	}
	return lines
}
