package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/testkit/freeport"
)

// TestAgentIsFound by what it says of itself, when its config says something else by now.
func TestAgentIsFound(t *testing.T) {
	t.Parallel()
	port, err := freeport.Free()
	if err != nil {
		t.Fatal(err)
	}
	a := newAgent(t, "port = "+port+"\n")
	a.run(a.command("serve", "--config", a.configFile(), "--log-format", "json"))
	other := newAgent(t, "allow_faults = false\n")
	second := filepath.Join(a.dir, "second.toml") // in the same folder for sockets
	if err := os.WriteFile(second, []byte("allow_faults = false\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	other.run(a.command("serve", "--config", second, "--port", "0", "--log-format", "json"))

	// The port of the other agent: by that it would be the wrong one.
	a.configure("port = " + other.port + "\n")
	out, err := a.command("reload", "--config", a.configFile()).CombinedOutput()
	const cannot = "agent.toml:1:1: port: cannot change while the agent runs"
	if err == nil || !strings.Contains(string(out), cannot) {
		t.Errorf("reload: %v: %s", err, out)
	}
	if s := a.status(); !strings.Contains(s.Reload.Error, cannot) || !strings.Contains(a.stderr.String(), cannot) {
		t.Errorf("the last reload is %+v, and the log is:\n%s", s.Reload, a.stderr.String())
	}
	if s := other.reloadOf(a.dir); s != "" {
		t.Errorf("the other agent's last reload: %s", s)
	}

	// As systemd runs ExecReload: it knows the process, and a variable of the unit has changed.
	cmd := a.command("status", "--config", second)
	cmd.Env = append(cmd.Env, "MAINPID="+strconv.Itoa(a.cmd.Process.Pid), "STEPAGENT_PORT=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), fmt.Sprintf("process %d,", a.cmd.Process.Pid)) {
		t.Errorf("status: %v: %s", err, out)
	}

	// No config is named, and no agent has its port.
	out, err = a.command("status").CombinedOutput()
	if want := "admin-" + a.port + ".sock (config " + a.configFile() + ")"; err == nil || !strings.Contains(string(out), want) {
		t.Errorf("status: %v: %s, want %s", err, out, want)
	}
	other.ends()

	// The only agent is not the one with this config.
	out, err = a.command("reload", "--config", second).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "none runs with the config "+second) {
		t.Errorf("reload: %v: %s", err, out)
	}
	if out, err := a.command("status").CombinedOutput(); err != nil {
		t.Errorf("status of the only agent: %v: %s", err, out)
	}
	a.ends()
}

// reloadOf returns why the last reload of an agent with its sockets in dir was refused.
func (a *agentProcess) reloadOf(dir string) string {
	a.dir = dir
	return a.status().Reload.Error
}

// TestOwnSocketIsFound: a socket with a path of its own, after the config has named another.
func TestOwnSocketIsFound(t *testing.T) {
	t.Parallel()
	a := newAgent(t, "")
	own := filepath.Join(a.dir, "own.sock")
	a.configure(fmt.Sprintf("[admin]\nsocket = %q\n", own))
	a.run(a.command("serve", "--config", a.configFile(), "--port", "0", "--log-format", "json"))
	a.configure(fmt.Sprintf("[admin]\nsocket = %q\n", own+"2"))
	out, err := a.command("reload", "--config", a.configFile()).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "admin.socket: cannot change while the agent runs") {
		t.Errorf("reload: %v: %s", err, out)
	}
	a.ends()
	if left, err := filepath.Glob(filepath.Join(a.dir, "*.sock")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
