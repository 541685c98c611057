package peers

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/load"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
)

// sharedName is the agent whose sessions are in a bucket of three servers.
const sharedName = "shared"

// A named plan names its sessions, each once: sessions without a name are not shared.
type named struct {
	load.Plan
	sessions *atomic.Int64
}

// Exchanges implements load.Plan.
func (n named) Exchanges(string) []load.Exchange {
	return n.Plan.Exchanges(fmt.Sprintf("shared-%d", n.sessions.Add(1)))
}

// BenchmarkShared puts agents under the same load in turns whose named sessions are in memory, in a file, and
// in a bucket with three replicas, whose servers sync each message and are processes on this machine.
func BenchmarkShared(b *testing.B) {
	for b.Loop() {
		s := newStarter(b)
		m := newMeasurements(b)
		plan := named{steps(b), new(atomic.Int64)}
		servers := natstest.Cluster(b, 3, natstest.Processes(), natstest.SyncAlways())
		peers := []*peer{s.startAgentFor("agent", "", plan), s.startDurableFor(restartName, "restart", plan),
			s.startDurableFor(powerCutName, "power_cut", plan), s.startShared(sharedName, servers, plan)}
		for range *rounds {
			rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
			for _, clients := range []int{many, 1} {
				for _, p := range peers {
					m.loadShared(p, clients, servers)
				}
			}
		}
		report(b, m, durableTargets(m))
		m.reportShared()
		if wanted(sharedName) {
			fresh := natstest.Cluster(b, len(servers), natstest.Processes(), natstest.SyncAlways())
			sizes(b, fresh, s.startShared("fresh", fresh, plan))
			boards(b, fresh)
		}
	}
}

// startShared creates the bucket and starts an agent that uses it.
func (s *starter) startShared(name string, servers []*natstest.Node, plan load.Plan) *peer {
	s.b.Helper()
	config := fmt.Sprintf("[nats]\nurl = [\"%s\"]\n[session]\nstore = \"nats\"\n", strings.Join(natstest.URLs(servers), `", "`))
	file := s.writeConfig("bucket", config)
	out, err := exec.Command(s.agent, "create-bucket", "--config", file, "--replicas", fmt.Sprint(len(servers))).CombinedOutput()
	if err != nil {
		s.b.Fatalf("%v\n%s", err, out)
	}
	return s.startAgentFor(name, config, plan)
}

// loadShared is load, and adds what a step of the shared sessions costs the servers.
func (m *measurements) loadShared(p *peer, clients int, servers []*natstest.Node) {
	m.b.Helper()
	pids := natstest.PIDs(servers)
	before := cpuTime(m.b, "servers", pids)
	steps := m.load(p, clients)
	after := cpuTime(m.b, "servers", pids)
	if p.name == sharedName && steps > 0 {
		m.add(fmt.Sprintf("%s/%d/servers", sharedName, clients), (after-before).Seconds()/float64(steps))
	}
}

// reportShared prints how shared sessions compare with those in memory and in a file.
func (m *measurements) reportShared() {
	for _, than := range []string{"agent", restartName, powerCutName} {
		fmt.Printf("%s, throughput of 256 clients %.2f of that of %q, median latency of one client %.1f times\n", sharedName,
			m.ratio(sharedName+"/256/throughput", than+"/256/throughput"), than, m.ratio(sharedName+"/1/p50", than+"/1/p50"))
	}
	fmt.Printf("the three servers take %.0f µs of CPU a step with 256 clients, %.0f µs with one\n",
		m.median(sharedName+"/256/servers")*1e6, m.median(sharedName+"/1/servers")*1e6)
}

// open is how many sessions sizes leaves open.
const open = 2000

// sizes prints what open sessions of an agent take on each server.
func sizes(b *testing.B, servers []*natstest.Node, agent *peer) {
	b.Helper()
	pids := natstest.PIDs(servers)
	before := memoryOf(b, "servers", pids)
	stored := bytesBelow(b, servers[0].Dir())
	conn, err := net.Dial("tcp", agent.address)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for range open {
		all := agent.plan.Exchanges("")
		for _, e := range all[:len(all)-1] {
			if err := exchange(conn, e); err != nil {
				b.Fatal(err)
			}
		}
	}
	after := memoryOf(b, "servers", pids)
	fmt.Printf("an open session with 9 steps takes %.0f bytes of disk on each server and %.0f bytes of its memory\n",
		float64(bytesBelow(b, servers[0].Dir())-stored)/open, float64(after.private-before.private)/open/float64(len(servers)))
}

const (
	// connected is how many connections boards makes, as many boards do.
	connected = 500
	// watching is how long it watches what they cost.
	watching = 5 * time.Second
)

// boards prints what the connection of a board that does nothing takes.
func boards(b *testing.B, servers []*natstest.Node) {
	b.Helper()
	pids := natstest.PIDs(servers)
	before := memoryOf(b, "servers", pids)
	for i := range connected {
		conn, err := natsconn.Connect(natsconn.Options{URLs: []string{servers[i%len(servers)].URL}})
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
	}
	time.Sleep(watching)
	after := memoryOf(b, "servers", pids)
	began := time.Now()
	busy := cpuTime(b, "servers", pids)
	time.Sleep(watching)
	used := cpuTime(b, "servers", pids)
	fmt.Printf("a board that does nothing takes %.0f KiB of its server's memory; %d of them take %.1f %% of one processor of all servers\n",
		float64(after.private-before.private)/1024/connected, connected, (used-busy).Seconds()/time.Since(began).Seconds()*100)
}

// bytesBelow returns the size of all files in a folder.
func bytesBelow(b *testing.B, dir string) (sum int64) {
	b.Helper()
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return sum
}
