package peers

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/load"
	"github.com/stepagent/stepagent/agent/internal/testkit/freeport"
)

// patience is how long a process may take to accept connections, or to end.
const patience = time.Minute

// A peer is one server and what its clients say.
type peer struct {
	name    string
	address string
	plan    load.Plan
	pids    []int
	took    time.Duration // from exec to the first reply
	stop    func()        // ends it; it may be called again
	viewers int           // of its events, while it is measured
	events  string        // the URL of these
}

// A starter starts servers on free ports of the loopback interface.
type starter struct {
	b     *testing.B
	dir   string
	agent string // the path of the executable
}

func newStarter(b *testing.B) *starter {
	s := &starter{b: b, dir: b.TempDir()}
	s.agent = filepath.Join(s.dir, "stepagent")
	build := exec.Command("go", "build", "-trimpath", "-tags", "grpcnotrace", "-ldflags", "-s -w", "-o", s.agent,
		"github.com/stepagent/stepagent/agent/cmd/stepagent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("cannot build the agent: %v\n%s", err, out)
	}
	return s
}

// start runs a server and waits until it has given its first reply. The server ends with the
// benchmark.
func (s *starter) start(name string, plan load.Plan, env []string, command func(port string) *exec.Cmd) *peer {
	s.b.Helper()
	port, err := freeport.Free()
	if err != nil {
		s.b.Fatal(err)
	}
	cmd := command(port)
	var stderr bytes.Buffer
	cmd.Stderr, cmd.Env = &stderr, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &peer{name: name, address: net.JoinHostPort("127.0.0.1", port), plan: plan}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		s.b.Fatalf("%s: %v", name, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is told to end, or the wait below fails
		close(ended)
	}()
	p.stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
		}
	}
	s.b.Cleanup(p.stop)
	for {
		err := firstReply(p)
		if err == nil {
			break
		}
		select {
		case <-ended:
			s.b.Fatalf("%s ended:\n%s", name, stderr.String())
		case <-time.After(time.Millisecond):
		}
		if time.Since(began) > patience {
			s.b.Fatalf("%s: %v", name, err)
		}
	}
	p.took = time.Since(began)
	plugins, err := children(cmd.Process.Pid)
	if err != nil {
		s.b.Fatal(err)
	}
	p.pids = append([]int{cmd.Process.Pid}, plugins...)
	return p
}

// firstReply makes the first exchange of the peer's plan.
func firstReply(p *peer) error {
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	e := p.plan.Exchanges("")[0]
	return exchange(conn, e)
}

// exchange sends a request and compares the reply with the usual one.
func exchange(conn net.Conn, e load.Exchange) error {
	if _, err := conn.Write(e.Request); err != nil {
		return err
	}
	reply := make([]byte, len(e.Reply))
	if _, err := io.ReadFull(conn, reply); err != nil {
		return err
	}
	if !bytes.Equal(reply, e.Reply) {
		return fmt.Errorf("got %q", reply)
	}
	return nil
}

// startAgent runs stepagent with the validators of the config, by default with the default
// ones.
func (s *starter) startAgent(name, config string) *peer {
	return s.startAgentFor(name, config, steps(s.b))
}

func (s *starter) startAgentFor(name, config string, plan load.Plan) *peer {
	file := s.writeConfig(name, config)
	// Sockets have short paths, unix(7).
	runtime, err := os.MkdirTemp("", "peers")
	if err != nil {
		s.b.Fatal(err)
	}
	s.b.Cleanup(func() { _ = os.RemoveAll(runtime) })
	return s.start(name, plan, []string{"RUNTIME_DIRECTORY=" + runtime}, func(port string) *exec.Cmd {
		return exec.Command(s.agent, "serve", "--config", file, "--port", port, "--log-level", "error")
	})
}

// writeConfig returns the path of a config file with the text.
func (s *starter) writeConfig(name, text string) string {
	file := filepath.Join(s.dir, name+".toml")
	if err := os.WriteFile(file, []byte("host = \"127.0.0.1\"\n"+text), 0o600); err != nil {
		s.b.Fatal(err)
	}
	return file
}

// startSelf runs this executable in another role.
func (s *starter) startSelf(name, role string, plan load.Plan) *peer {
	return s.start(name, plan, nil, func(port string) *exec.Cmd {
		return exec.Command("/proc/self/exe", role, net.JoinHostPort("127.0.0.1", port))
	})
}

// startRedis runs redis-server, which keeps nothing on disk; nil where it is not installed.
func (s *starter) startRedis() *peer {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil
	}
	return s.start("redis", pings(), nil, func(port string) *exec.Cmd {
		return exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "",
			"--appendonly", "no", "--dir", s.dir, "--maxclients", "10000")
	})
}
