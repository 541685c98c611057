// Package natstest runs NATS servers with JetStream for tests: in the process of the test, or each as a
// process of its own that can be killed and stopped.
package natstest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	inside   *server.Server // nil while it does not run, or runs as a process
	outside  *exec.Cmd      // nil while it does not run, or runs inside
}

// An Option changes how servers run.
type Option func(*settings)

type settings struct {
	separate bool
	sync     string // of JetStream, a line of the config
	config   []string
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
	var routes []string
	ports := make([]string, 2*n)
	for i := range ports {
		port, err := freeport.Free()
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = port
	}
	for _, port := range ports[n:] {
		routes = append(routes, "nats://127.0.0.1:"+port)
	}
	var nodes []*Node
	for i := range n {
		node := &Node{URL: "nats://127.0.0.1:" + ports[i], t: t, dir: t.TempDir(), separate: s.separate}
		lines := []string{"listen: 127.0.0.1:" + ports[i], fmt.Sprintf("server_name: node-%d", i+1),
			fmt.Sprintf("jetstream {\n store_dir: %q\n %s\n}", filepath.Join(node.dir, "store"), s.sync)}
		lines = append(lines, s.config...)
		if n > 1 {
			lines = append(lines, fmt.Sprintf("cluster { name: test, listen: 127.0.0.1:%s, routes: [%s] }", ports[n+i], strings.Join(routes, ", ")))
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
