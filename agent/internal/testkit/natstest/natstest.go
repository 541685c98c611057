// Package natstest runs NATS servers with JetStream for tests: in the process of the test, or each as a
// process of its own that can be killed and stopped.
package natstest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/stepagent/stepagent/agent/internal/testkit/freeport"
)

// patience is how long a server may take to start: much longer than it does, as a test may run beside
// others.
const patience = time.Minute

// A Node is a server. Its methods are for the goroutine of the test.
type Node struct {
	// URL is the address for clients, which a restart keeps.
	URL string

	t        testing.TB
	dir      string
	separate bool
	enter    []string       // of its Place
	inside   *server.Server // nil while it does not run, or runs as a process
	outside  *exec.Cmd      // nil while it does not run, or runs inside
}

// An Option changes how servers run.
type Option func(*settings)

type settings struct {
	separate bool
	sync     string // of JetStream, a line of the config
	config   []string
	places   []Place
}

// A Place is where a server runs.
type Place struct {
	// Address is the one that the server listens on, without a port.
	Address string
	// Enter is a command with arguments that becomes the command behind them, such as nsenter, and begins
	// the server's; nil for none. It is for servers that are processes.
	Enter []string
}

// Processes runs each server as a process of its own, the test's binary once more. TestMain must begin
// with Main.
func Processes() Option { return func(s *settings) { s.separate = true } }

// Config adds lines to the config of each server, such as `authorization { ... }`.
func Config(lines string) Option {
	return func(s *settings) { s.config = append(s.config, lines) }
}

// SyncAlways has servers sync each message before it is acknowledged.
func SyncAlways() Option {
	return func(s *settings) { s.sync = "sync_interval: always" }
}

// At has the servers of a cluster run at these places, one for each. Otherwise they listen on 127.0.0.1.
func At(places []Place) Option { return func(s *settings) { s.places = places } }

// Server starts a server, which the end of the test stops.
func Server(t testing.TB, options ...Option) *Node {
	t.Helper()
	return start(t, 1, options)[0]
}

// Cluster starts n servers that are one cluster.
func Cluster(t testing.TB, n int, options ...Option) []*Node {
	t.Helper()
	return start(t, n, options)
}

// URLs returns the addresses of servers.
func URLs(nodes []*Node) (urls []string) {
	for _, n := range nodes {
		urls = append(urls, n.URL)
	}
	return urls
}

func start(t testing.TB, n int, options []Option) []*Node {
	t.Helper()
	var s settings
	for _, option := range options {
		option(&s)
	}
	if s.places == nil {
		s.places = slices.Repeat([]Place{{Address: "127.0.0.1"}}, n)
	}
	var listen, routes []string // of clients, and of the other servers
	for i := range 2 * n {
		port, err := freeport.Free()
		if err != nil {
			t.Fatal(err)
		}
		listen = append(listen, net.JoinHostPort(s.places[i%n].Address, port))
	}
	for _, address := range listen[n:] {
		routes = append(routes, "nats://"+address)
	}
	var nodes []*Node
	for i := range n {
		node := &Node{URL: "nats://" + listen[i], t: t, dir: t.TempDir(), separate: s.separate, enter: s.places[i].Enter}
		lines := []string{"listen: " + listen[i], fmt.Sprintf("server_name: node-%d", i+1),
			fmt.Sprintf("jetstream {\n store_dir: %q\n %s\n}", filepath.Join(node.dir, "store"), s.sync)}
		lines = append(lines, s.config...)
		if n > 1 {
			lines = append(lines, fmt.Sprintf("cluster { name: test, listen: %s, routes: [%s] }", listen[n+i], strings.Join(routes, ", ")))
		}
		if err := os.WriteFile(node.config(), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, node)
		t.Cleanup(node.Kill)
		node.begin()
	}
	for _, node := range nodes {
		node.awaitReady()
	}
	return nodes
}

// PIDs returns the processes of servers; see Processes.
func PIDs(nodes []*Node) (pids []int) {
	for _, n := range nodes {
		if n.outside != nil {
			pids = append(pids, n.outside.Process.Pid)
		}
	}
	return pids
}

// Dir returns the folder in which the server stores its messages, and more.
func (n *Node) Dir() string { return n.dir }

func (n *Node) config() string { return filepath.Join(n.dir, "server.conf") }

// KillFor kills servers and starts them again after a time.
func KillFor(away time.Duration, nodes ...*Node) {
	for _, n := range nodes {
		n.Kill()
	}
	time.Sleep(away)
	for _, n := range nodes {
		n.Restart()
	}
}

// Restart starts a killed server again, with what it has stored, and waits until it accepts clients. A
// cluster may take longer to have a leader again.
func (n *Node) Restart() {
	n.t.Helper()
	n.begin()
	n.awaitReady()
}

// begin starts the server and does not wait.
func (n *Node) begin() {
	n.t.Helper()
	if n.separate {
		n.beginProcess()
		return
	}
	s, err := newServer(n.config())
	if err != nil {
		n.t.Fatal(err)
	}
	n.inside = s
	go s.Start()
}

func newServer(config string) (*server.Server, error) {
	o, err := server.ProcessConfigFile(config)
	if err != nil {
		return nil, err
	}
	o.NoLog, o.NoSigs = true, true
	return server.NewServer(o)
}

// Kill ends the server: at once if it is a process, in good order otherwise. It does nothing if the server
// does not run.
func (n *Node) Kill() {
	if n.inside != nil {
		n.inside.Shutdown()
		n.inside.WaitForShutdown()
		n.inside = nil
	}
	if n.outside != nil {
		_ = n.outside.Process.Kill() // fails if it has ended
		_ = n.outside.Wait()         // it was killed
		n.outside = nil
	}
}
