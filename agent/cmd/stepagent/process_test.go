package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
)

// An agentProcess is a stepagent in a process of its own, which is this test binary.
type agentProcess struct {
	t      *testing.T
	cmd    *exec.Cmd
	dir    string // runtime directory
	host   string // empty for localhost
	port   string
	enter  []string // a command that becomes stepagent, such as nsenter with its path; nil for none
	stderr *lockedBuffer
	done   chan error
}

// startAgent starts stepagent serve with the config and waits until it accepts connections.
func startAgent(t *testing.T, config string) *agentProcess {
	t.Helper()
	a := newAgent(t, config)
	a.run(a.command("serve", "--config", a.configFile(), "--port", "0", "--log-format", "json"))
	return a
}

// newAgent returns an agent with the config that is still to be started.
func newAgent(t *testing.T, config string) *agentProcess {
	t.Helper()
	dir, err := daemon.TempRuntimeDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	a := &agentProcess{t: t, dir: dir, stderr: &lockedBuffer{}, done: make(chan error, 1)}
	a.configure(config)
	return a
}

// run starts the command, which is serve, and waits until it accepts connections.
func (a *agentProcess) run(cmd *exec.Cmd) {
	a.t.Helper()
	a.begin(cmd)
	waitFor(a.t, "the agent to start", func() bool {
		var err error
		_, a.port, err = net.SplitHostPort(a.started())
		return err == nil
	})
}

// begin starts the command.
func (a *agentProcess) begin(cmd *exec.Cmd) {
	a.t.Helper()
	a.cmd = cmd
	a.cmd.Stderr = a.stderr
	if err := a.cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	go func() { a.done <- a.cmd.Wait() }()
	a.t.Cleanup(func() {
		_ = a.cmd.Process.Kill() // has ended as a rule
	})
}

// command returns a command of stepagent for this agent.
func (a *agentProcess) command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	if cmd.Args[0] = "stepagent"; len(a.enter) > 0 {
		cmd = exec.Command(a.enter[0], append(a.enter[1:len(a.enter):len(a.enter)], args...)...)
	}
	cmd.Env = append(os.Environ(), "RUNTIME_DIRECTORY="+a.dir)
	return cmd
}

// shellCommand returns a command of stepagent that the shell becomes once it has done something
// first, such as "ulimit -n 64;".
func (a *agentProcess) shellCommand(first string, args ...string) *exec.Cmd {
	a.t.Helper()
	self, err := os.Executable()
	if err != nil {
		a.t.Fatal(err)
	}
	named := filepath.Join(a.t.TempDir(), "stepagent") // the name makes it the agent
	if err := os.Symlink(self, named); err != nil {
		a.t.Fatal(err)
	}
	cmd := a.command(append([]string{"-c", first + ` exec "$0" "$@"`, named}, args...)...)
	cmd.Path, cmd.Args[0] = "/bin/sh", "sh"
	return cmd
}

func (a *agentProcess) configFile() string { return filepath.Join(a.dir, "agent.toml") }

func (a *agentProcess) configure(config string) {
	a.t.Helper()
	if err := os.WriteFile(a.configFile(), []byte(config), 0o644); err != nil {
		a.t.Fatal(err)
	}
}

// started returns the address from the line that says so.
func (a *agentProcess) started() string {
	for line := range strings.Lines(a.stderr.String()) {
		var entry struct{ Msg, Address string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "agent started" {
			return entry.Address
		}
	}
	return ""
}

func (a *agentProcess) address() string { return net.JoinHostPort(cmp.Or(a.host, "localhost"), a.port) }

func (a *agentProcess) socket() string { return filepath.Join(a.dir, "admin-"+a.port+".sock") }

func (a *agentProcess) status() api.Status {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	status, err := daemon.Query[api.Status](ctx, a.socket(), daemon.StatusRequest)
	if err != nil {
		a.t.Fatal(err)
	}
	return status
}

func (a *agentProcess) reload() error {
	out, err := a.command("reload", "--port", a.port).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func (a *agentProcess) signal(s os.Signal) {
	a.t.Helper()
	if err := a.cmd.Process.Signal(s); err != nil {
		a.t.Fatal(err)
	}
}

// wait waits until the agent has ended.
func (a *agentProcess) wait() error {
	a.t.Helper()
	select {
	case err := <-a.done:
		return err
	case <-time.After(patience):
		a.t.Fatalf("the agent does not end; it logged:\n%s", a.stderr.String())
		return nil
	}
}

// alive reports whether a process runs; a zombie does not.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := bytes.Cut(stat, []byte(") "))
	return len(state) > 0 && state[0] != 'Z'
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting for %s", what)
		}
	}
}

// A lockedBuffer is a log that a test reads while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestAgentKilledTakesPluginAlong: the plugin's process does not outlive the agent, however
// the agent ends.
func TestAgentKilledTakesPluginAlong(t *testing.T) {
	t.Parallel()
	for _, s := range []os.Signal{syscall.SIGKILL, syscall.SIGABRT, syscall.SIGTERM} {
		t.Run(s.String(), func(t *testing.T) {
			a := startAgent(t, "port = 1\n")
			plugin := a.status().Validators[0].PID
			if !alive(plugin) {
				t.Fatalf("no process %d", plugin)
			}
			a.signal(s)
			_ = a.wait() // how it ends is of no matter here
			for deadline := time.Now().Add(2 * time.Second); alive(plugin); time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the plugin's process is alive two seconds after the agent's end")
				}
			}
		})
	}
}

// TestSecondSignalEndsAtOnce: a validator that does not answer keeps a step in flight.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	a := startAgent(t, fmt.Sprintf(`
[stop]
grace = "1h"
[judging]
cap = "1h"
[[validators]]
name = "stuck"
path = %q
`, testPlugin(t)))
	conn, err := net.Dial("tcp", a.address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprint(conn, `{"step_id":2}`); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the step to be in flight", func() bool { return a.status().Sessions.Open == 1 })
	a.signal(syscall.SIGTERM)
	waitFor(t, "the stop to begin", func() bool { return strings.Contains(a.stderr.String(), "agent stops") })
	select {
	case err := <-a.done:
		t.Fatalf("the agent ended (%v) with a step in flight and an hour of grace", err)
	case <-time.After(300 * time.Millisecond):
	}
	a.signal(syscall.SIGTERM)
	if err := a.wait(); err == nil {
		t.Error("exit 0 after an end by force")
	}
}

// TestHangUpReloads: SIGHUP is a reload.
func TestHangUpReloads(t *testing.T) {
	t.Parallel()
	a := startAgent(t, "port = 1\n")
	a.signal(syscall.SIGHUP)
	waitFor(t, "the second generation", func() bool { return a.status().Generation == 2 })
	a.configure("prot = 1\n")
	a.signal(syscall.SIGHUP)
	waitFor(t, "the refusal", func() bool { return a.status().Reload.Error != "" })
	if g := a.status().Generation; g != 2 {
		t.Errorf("generation %d is in force after a bad config", g)
	}
	a.signal(syscall.SIGTERM)
	if err := a.wait(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
}

// A command that tries a plugin leaves no process behind that the plugin started.
func TestTryingAPluginLeavesNothing(t *testing.T) {
	t.Parallel()
	plugin, list := testPlugin(t), filepath.Join(t.TempDir(), "daemons")
	a := newAgent(t, fmt.Sprintf("[[validators]]\nname = \"sequence\"\npath = %q\nargs = [%q]\n", plugin, list))
	for _, args := range [][]string{
		{"check-config", a.configFile()},
		{"validators", "check", plugin, "--name", "torque", "--arg", list}, // which it does not have
	} {
		out, err := a.command(args...).CombinedOutput()
		if wanted := args[0] == "check-config"; wanted != (err == nil) {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
		daemons, err := os.ReadFile(list)
		if err != nil || len(daemons) == 0 {
			t.Fatalf("%v: no process was left behind: %v", args, err)
		}
		for _, word := range strings.Fields(string(daemons)) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err == nil {
				t.Errorf("%v: process %d is left", args, pid)
			}
		}
	}
}
