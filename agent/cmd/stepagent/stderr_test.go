package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/testkit/freeport"
)

// serving starts an agent that writes its log to stderr, and waits until it answers.
func serving(t *testing.T, stderr *os.File, redirections string) *agentProcess {
	t.Helper()
	a := newAgent(t, "[log]\nformat = \"text\"\n")
	port, err := freeport.Free()
	if err != nil {
		t.Fatal(err)
	}
	a.port = port
	cmd := a.command("-c", `exec "$0" "$@" `+redirections, named(t), "serve", "--config", a.configFile(), "--port", port)
	cmd.Path, cmd.Args[0] = "/bin/sh", "sh"
	cmd.Stderr = stderr
	a.cmd = cmd
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { a.done <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // has ended as a rule
	waitFor(t, "the agent to answer", func() bool {
		_, err := daemon.Query[api.Status](t.Context(), a.socket(), daemon.StatusRequest)
		return err == nil
	})
	return a
}

// named returns a path of this test binary whose name makes it the agent.
func named(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "stepagent")
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// complain makes the agent write two lines, of a step that fails and of a message that is none.
func (a *agentProcess) complain() {
	a.t.Helper()
	conn, err := net.Dial("tcp", a.address())
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "{\"step_id\":2}\n{\"step_id\":1}\n[]\n")
	if err == nil {
		_, err = io.ReadAll(conn)
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

// ends stops the agent, which is to say that all was well.
func (a *agentProcess) ends() {
	a.t.Helper()
	a.signal(syscall.SIGTERM)
	if err := a.wait(); err != nil {
		a.t.Errorf("SIGTERM: %v", err)
	}
}

// TestStderrIsLost: whatever becomes of stderr, the agent serves, counts the lines, says why they are
// not written, and writes again when it can.
func TestStderrIsLost(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "log")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		stderr       *os.File
		redirections string
		lose         func() error // when the agent runs
		lost         bool
		trouble      string
	}{
		"reader gone":  {stderr: write, lose: read.Close, lost: true, trouble: "broken pipe"},
		"disk full":    {redirections: "2>/dev/full", lost: true, trouble: "no space left on device"},
		"file removed": {redirections: "2>" + file, lose: func() error { return os.Remove(file) }, trouble: "its file has been removed"},
		"closed":       {redirections: "<&- >&- 2>&-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := serving(t, test.stderr, test.redirections)
			if test.lose != nil {
				if err := test.lose(); err != nil {
					t.Fatal(err)
				}
			}
			a.complain()
			wanted := func(s api.Status) bool {
				return (s.Log.Unwritten > 0) == test.lost && strings.Contains(strings.Join(s.Trouble, "; "), test.trouble) &&
					(len(s.Trouble) > 0) == (test.trouble != "")
			}
			waitFor(t, "the status to say so", func() bool { return wanted(a.status()) })
			out, err := a.command("status", "--port", a.port).Output()
			code := 0
			if exit := new(exec.ExitError); errors.As(err, &exit) {
				code = exit.ExitCode()
			}
			if degraded := test.trouble != ""; degraded != (code == exitDegraded) || !degraded && code != cli.ExitOK ||
				test.lost != bytes.Contains(out, []byte("could not be written\n")) {
				t.Errorf("exit %d:\n%s", code, out)
			}
			a.ends()
		})
	}
}

// TestStderrIsFull: a program that is to end does so, also where its last line finds no reader.
func TestStderrIsFull(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(read.Close(), write.Close()) }()
	fill(t, write)
	a := newAgent(t, "prot = 1\n")
	cmd := a.command("serve", "--config", a.configFile())
	cmd.Stderr = write
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { a.done <- cmd.Wait() }()
	if err := a.wait(); err == nil {
		t.Errorf("exit 0 with a config that is wrong, after %v", time.Since(began))
	}
}

// fill writes to a pipe until that takes no more.
func fill(t *testing.T, pipe *os.File) {
	t.Helper()
	fd := int(pipe.Fd()) // blocking from now on, for the other process too
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := unix.Write(fd, make([]byte, 4096)); err != nil {
			break
		}
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
}
