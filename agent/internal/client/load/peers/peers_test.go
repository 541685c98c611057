package peers

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/load"
)

// Flags of the benchmark, after -args.
var (
	rounds = flag.Int("rounds", 5, "how often each measurement is made, in turns; the medians count")
	slice  = flag.Duration("slice", 2*time.Second, "how long each measurement takes")
	rate   = flag.Float64("rate", 0, "how many steps a second 256 clients send together; 0: each sends the next step after the reply")
	only   = flag.String("only", "", "a regular expression: the peers that are measured; targets of others are left out")
	limits = flag.String("limits", "none", "what makes the benchmark fail: none; target, a target that is missed; loose, one missed by far")
)

const (
	many  = 256  // clients
	crowd = 8000 // clients
	// crowdSlices is how many slices a measurement of the crowd takes, as each client has to wait a
	// tenth of a second for each step: one slice would be made of the first steps of connections.
	crowdSlices = 3
	starts      = 5 // of an agent, to see how long one takes
	settling    = 300 * time.Millisecond
	// resting is how long an agent is left alone after its start before its memory at rest is read.
	resting = 30 * time.Second
)

// BenchmarkPeers puts the agent and its peers under the same load in turns, and prints how
// they compare.
func BenchmarkPeers(b *testing.B) {
	for b.Loop() {
		run(b)
	}
}

func run(b *testing.B) {
	s := newStarter(b)
	m := newMeasurements(b)
	for range starts {
		p := s.startAgent("start", "")
		p.stop()
		m.add("ready", p.took.Seconds())
	}
	agent := s.startAgent("agent", "")
	m.rest(agent) // while no other process shares its pages
	crowded := []*peer{agent,
		s.startSelf(limitName, limitRole, echoes(b)),
		s.startSelf("echo", echoRole, echoes(b)),
		s.startSelf("in-process", inProcessRole, steps(b))}
	peers := append([]*peer{s.startHTTP(unwatchedName, 0), s.startHTTP(watchedName, viewerCount)}, crowded...)
	peers = append(peers, s.startAgentFor(missName, measuredRules, measured(b)),
		s.startAgent(noKeptName, "[judging]\nkept_mib = 0\n"), s.startDurable(restartName, "restart"), s.startDurable(powerCutName, "power_cut"))
	if redis := s.startRedis(); redis != nil {
		peers = append(peers, redis)
	}
	peers = append(peers, s.own()...)
	for range *rounds {
		m.sync(s.dir)
		// The crowd of the round before still costs the first one something, which must not always be the same.
		rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
		for _, clients := range []int{many, 1} {
			for _, p := range peers {
				m.load(p, clients)
			}
		}
		for _, p := range crowded {
			m.load(p, crowd)
		}
	}
	m.kills(s.startAgent("kills", ""))
	m.sessions(s.startAgent("sessions", ""))
	report(b, m, slices.Concat(targets(m), viewTargets(m), durableTargets(m)))
}

// own starts agents with user-written validators: one in Go, and the Python template
// if Python has its dependencies.
func (s *starter) own() []*peer {
	path := filepath.Join(s.dir, "own")
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(path, self, 0o700)
	}
	if err != nil {
		s.b.Fatal(err)
	}
	peers := []*peer{s.startAgent(ownGo, fmt.Sprintf("[[validators]]\nname = \"own\"\npath = %q\nargs = [%q]\n", path, pluginRole))}
	if exec.Command("/usr/bin/python3", "-c", "import grpc, google.protobuf").Run() != nil {
		return peers
	}
	lib := filepath.Join(s.dir, "python")
	if err := os.CopyFS(lib, os.DirFS("../../../../../plugins/python")); err != nil {
		s.b.Fatal(err)
	}
	template := filepath.Join(lib, "template.py")
	if err := os.Chmod(template, 0o700); err != nil {
		s.b.Fatal(err)
	}
	return append(peers, s.startAgent(ownPython, fmt.Sprintf("[[validators]]\nname = \"mine\"\npath = %q\n", template)))
}

// measuredRules are the default validators and a rule over what clients have measured.
const measuredRules = `
[[validators]]
name = "sequence"
[[validators]]
name = "min_timeout"
[[validators]]
name = "rules"
[[validators.settings.rule]]
name = "supply"
expression = "data.volt >= 9 && data.volt <= 16"
`

// The names of peers.
const (
	limitName  = "limit"
	missName   = "every step a miss"
	noKeptName = "nothing kept"
	// Agents with validators such as users write.
	ownGo     = "own Go validator"
	ownPython = "own Python validator"
)

// load puts a peer under the load of n clients and keeps the results. It returns the number of steps, 0 if the
// peer is not to be measured.
func (m *measurements) load(p *peer, clients int) (steps uint64) {
	m.b.Helper()
	if !wanted(p.name) {
		return 0
	}
	o := load.Options{Address: p.address, Clients: clients, Plan: p.plan, Duration: *slice, Wait: patience}
	switch clients {
	case crowd:
		o.Duration *= crowdSlices
	case many:
		o.Rate = *rate
	}
	if p.viewers > 0 {
		defer m.watch(p)()
	}
	before := cpuTime(m.b, p.name, p.pids)
	result, err := load.Run(m.b.Context(), o)
	if err != nil {
		m.b.Fatalf("%s: %v", p.name, err)
	}
	after := cpuTime(m.b, p.name, p.pids)
	if troubles := result.Troubles(); len(troubles) > 0 {
		m.b.Fatalf("%s: %+v", p.name, troubles)
	}
	at := fmt.Sprintf("%s/%d/", p.name, clients)
	steps = result.Steps + result.Finishing
	m.add(at+"throughput", result.Throughput())
	m.add(at+"cpu", (after-before).Seconds()/float64(steps))
	m.add(at+"p50", result.Latency(50).Seconds())
	m.add(at+"p99", result.Latency(99).Seconds())
	return steps
}

// wanted reports whether a peer is to be measured.
func wanted(name string) bool { return *only == "" || regexp.MustCompile(*only).MatchString(name) }

// rest measures an idle agent.
func (m *measurements) rest(p *peer) {
	time.Sleep(resting)
	at := memoryOf(m.b, p.name, p.pids)
	m.add("rest/rss", float64(at.rss))
	m.add("rest/pss", float64(at.pss))
	m.add("rest/private", float64(at.private))
}

// killEvery is how often the plugin of an agent is killed under load.
const killEvery = 200 * time.Millisecond

// kills puts an agent under load while its plugin is killed repeatedly. The verdicts are cached by then,
// so no client may notice.
func (m *measurements) kills(p *peer) {
	m.b.Helper()
	if !wanted("kills") {
		return
	}
	o := load.Options{Address: p.address, Clients: many, Plan: p.plan, Duration: *slice, Wait: patience}
	if _, err := load.Run(m.b.Context(), o); err != nil {
		m.b.Fatal(err)
	}
	over, kills := make(chan struct{}), 0
	var killing sync.WaitGroup
	killing.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(killEvery):
			}
			plugins, err := children(p.pids[0])
			if err != nil {
				m.b.Error(err)
			}
			for _, pid := range plugins {
				if err := syscall.Kill(pid, syscall.SIGKILL); err == nil {
					kills++
				}
			}
		}
	})
	o.Duration *= killSlices
	result, err := load.Run(m.b.Context(), o)
	close(over)
	killing.Wait()
	if err != nil {
		m.b.Fatal(err)
	}
	if troubles := result.Troubles(); len(troubles) > 0 {
		m.b.Errorf("under %d kills of the plugin: %+v", kills, troubles)
	}
	m.add("kills/number", float64(kills))
	m.add("kills/throughput", result.Throughput())
}

// killSlices is how many slices the plugin is killed for.
const killSlices = 5

// sessions measures the memory of sessions that have done one step.
func (m *measurements) sessions(p *peer) {
	before := memoryOf(m.b, p.name, p.pids)
	first := p.plan.Exchanges("")[0]
	conns := make([]net.Conn, crowd)
	var clients sync.WaitGroup
	slots := make(chan struct{}, 32)
	for i := range conns {
		slots <- struct{}{}
		clients.Go(func() {
			defer func() { <-slots }()
			conn, err := net.Dial("tcp", p.address)
			if err == nil {
				conns[i] = conn
				err = exchange(conn, first)
			}
			if err != nil {
				m.b.Errorf("session %d: %v", i, err)
			}
		})
	}
	clients.Wait()
	time.Sleep(settling)
	after := memoryOf(m.b, p.name, p.pids)
	for _, conn := range conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
	m.add("session/rss", float64(after.rss-before.rss)/crowd)
	m.add("session/pss", float64(after.pss-before.pss)/crowd)
}
