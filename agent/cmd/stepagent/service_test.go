package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A serviceManager is what systemd is to an agent: it holds the port, and hears what the
// agent says of itself.
type serviceManager struct {
	t      *testing.T
	port   *net.TCPListener
	notify *net.UnixConn
	// messages are what agents have sent. They are read at once, as systemd does: the kernel keeps few, and an
	// agent that sends more has to wait.
	messages chan string
}

// keptMessages is more than an agent sends in a test.
const keptMessages = 10_000

func newServiceManager(t *testing.T, address string) *serviceManager {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "notify") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = listener.Close()
		_ = notify.Close()
		_ = os.RemoveAll(dir)
	})
	m := &serviceManager{t, listener.(*net.TCPListener), notify, make(chan string, keptMessages)}
	go m.read()
	return m
}

// read reads messages until the socket is closed.
func (m *serviceManager) read() {
	defer close(m.messages)
	message := make([]byte, 4096)
	for {
		n, err := m.notify.Read(message)
		if err != nil {
			return
		}
		m.messages <- string(message[:n])
	}
}

// command returns one of stepagent as systemd starts it. LISTEN_PID is that of the shell,
// which becomes the agent.
func (m *serviceManager) command(a *agentProcess, args ...string) *exec.Cmd {
	m.t.Helper()
	file, err := m.port.File()
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = file.Close() })
	cmd := a.shellCommand("LISTEN_PID=$$", args...)
	cmd.ExtraFiles = []*os.File{file}
	cmd.Env = append(cmd.Env, "LISTEN_FDS=1", "LISTEN_FDNAMES=stepagent.socket", "WATCHDOG_USEC=2000000",
		"NOTIFY_SOCKET="+m.notify.LocalAddr().String())
	return cmd
}

// start starts an agent with the config in the runtime directory dir.
func (m *serviceManager) start(config string) *agentProcess {
	m.t.Helper()
	a := newAgent(m.t, config)
	a.run(m.command(a, "serve", "--config", a.configFile(), "--log-format", "json"))
	return a
}

// expect waits for a message that begins so, and returns it. Signs of life may come between.
func (m *serviceManager) expect(prefix string) string {
	m.t.Helper()
	for late := time.After(patience); ; {
		select {
		case got := <-m.messages:
			if strings.HasPrefix(got, prefix) {
				return got
			}
			if !strings.HasPrefix(got, "WATCHDOG=1") {
				m.t.Fatalf("systemd got %q, want %s", got, prefix)
			}
		case <-late:
			m.t.Fatalf("systemd waits for %s", prefix)
		}
	}
}

func (m *serviceManager) config() string {
	return fmt.Sprintf("host = \"127.0.0.1\"\nport = %d\n", m.port.Addr().(*net.TCPAddr).Port)
}

// step has a first step judged on a connection of its own, which may have to wait for the
// agent.
func (m *serviceManager) step() {
	m.t.Helper()
	conn, err := net.Dial("tcp", m.port.Addr().String())
	if err != nil {
		m.t.Fatalf("a connection is refused: %v", err)
	}
	m.answered(conn)
}

func (m *serviceManager) answered(conn net.Conn) {
	m.t.Helper()
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		m.t.Fatal(err)
	}
	if _, err := fmt.Fprint(conn, `{"step_id":1}`); err != nil {
		m.t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, `"error_code":0`) {
		m.t.Fatalf("the step got %q, %v", line, err)
	}
}

// TestService: what systemd is told, from the start to the stop.
func TestService(t *testing.T) {
	t.Parallel()
	m := newServiceManager(t, "127.0.0.1:0")
	a := m.start(m.config())
	if got := m.expect("READY=1"); !strings.Contains(got, "STATUS=serving 127.0.0.1:"+a.port) ||
		!strings.Contains(got, "sequence, min_timeout (generation 1)") {
		t.Errorf("the agent is ready: %q", got)
	}
	m.step()
	m.expect("WATCHDOG=1")

	if err := a.reload(); err != nil {
		t.Fatal(err)
	}
	m.expect("RELOADING=1")
	if got := m.expect("READY=1"); !strings.Contains(got, "(generation 2)") {
		t.Errorf("after a reload: %q", got)
	}
	a.configure("prot = 1\n")
	if err := a.reload(); err == nil {
		t.Fatal("a config that is wrong was taken")
	}
	m.expect("RELOADING=1")
	if got := m.expect("READY=1"); !strings.Contains(got, "refused: ") || strings.Count(got, "\n") > 1 {
		t.Errorf("after a reload that was refused: %q", got)
	}
	m.expect("WATCHDOG=1")

	a.signal(syscall.SIGTERM)
	if got := m.expect("STOPPING=1"); !strings.Contains(got, "EXTEND_TIMEOUT_USEC=15000000") {
		t.Errorf("the agent stops: %q", got)
	}
	if err := a.wait(); err != nil {
		t.Error(err)
	}
}

// TestRestartRefusesNobody: connections wait in the socket while one agent goes and another
// comes.
func TestRestartRefusesNobody(t *testing.T) {
	t.Parallel()
	m := newServiceManager(t, "127.0.0.1:0")
	a := m.start(m.config())
	m.expect("READY=1")
	m.step()
	a.signal(syscall.SIGTERM)
	if err := a.wait(); err != nil {
		t.Fatal(err)
	}
	var waiting []net.Conn
	for range 10 {
		conn, err := net.Dial("tcp", m.port.Addr().String())
		if err != nil {
			t.Fatalf("a connection is refused: %v", err)
		}
		waiting = append(waiting, conn)
	}
	m.start(m.config())
	for _, conn := range waiting {
		m.answered(conn)
	}
}

// TestWhatPluginsGet: a plugin that outlives its agent must not hold the port, nor speak for
// the agent; it finds the service's secrets, and none of what else is in the environment.
func TestWhatPluginsGet(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "/run/credentials/stepagent.service")
	t.Setenv("DATABASE_PASSWORD", "a secret")
	m := newServiceManager(t, "127.0.0.1:0")
	a := m.start(m.config())
	port := sockets(t, a.cmd.Process.Pid)
	plugin := a.status().Validators[0].PID
	for socket := range sockets(t, plugin) {
		if port[socket] {
			t.Errorf("process %d, the plugin, has %s of the agent's", plugin, socket)
		}
	}
	environ, err := os.ReadFile("/proc/" + strconv.Itoa(plugin) + "/environ")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(environ), "CREDENTIALS_DIRECTORY=/run/credentials/stepagent.service\x00") {
		t.Errorf("the plugin does not find its secrets: %q", environ)
	}
	for _, variable := range []string{"LISTEN_", "NOTIFY_SOCKET", "WATCHDOG_", "DATABASE_"} {
		if strings.Contains(string(environ), variable) {
			t.Errorf("the plugin sees %s: %q", variable, environ)
		}
	}
}

// sockets returns the sockets that a process has open.
func sockets(t *testing.T, pid int) map[string]bool {
	t.Helper()
	open := map[string]bool{}
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if target, err := os.Readlink(filepath.Join(dir, entry.Name())); err == nil && strings.HasPrefix(target, "socket:") {
			open[target] = true
		}
	}
	if len(open) == 0 {
		t.Fatalf("process %d has no socket", pid)
	}
	return open
}

// TestSocketAndConfigDisagree: neither wins in silence.
func TestSocketAndConfigDisagree(t *testing.T) {
	t.Parallel()
	m := newServiceManager(t, "127.0.0.1:0")
	port := m.port.Addr().(*net.TCPAddr).Port
	for config, want := range map[string]string{
		"port = 1\n": fmt.Sprintf("agent.toml:1:1: port: is 1, but the socket that systemd has passed listens on 127.0.0.1:%d; "+
			"change this key, or ListenStream with: systemctl edit stepagent.socket", port),
		fmt.Sprintf("port = %d\nhost = \"127.0.0.2\"\n", port): "agent.toml:2:1: host: is 127.0.0.2, but the socket",
		fmt.Sprintf("port = %d\nhost = \"::1\"\n", port):       "agent.toml:2:1: host: is ::1, but the socket",
	} {
		a := newAgent(t, config)
		out, err := m.command(a, "serve", "--config", a.configFile()).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v, %s", config, err, out)
		}
	}
	for _, host := range []string{"localhost", "127.0.0.1", "0.0.0.0", "::"} {
		a := m.start(fmt.Sprintf("port = 0\nhost = %q\n", host))
		a.signal(syscall.SIGTERM)
		if err := a.wait(); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}
