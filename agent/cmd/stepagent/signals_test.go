package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// hanging returns a config whose validator never comes up, and the file in which its program
// writes a line for each start.
func hanging(t *testing.T) (config, starts string) {
	t.Helper()
	dir := t.TempDir()
	program, starts := filepath.Join(dir, "hanging"), filepath.Join(dir, "starts")
	script := fmt.Sprintf("#!/bin/sh\necho started >> %q\nexec sleep 3600\n", starts)
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("[[validators]]\nname = \"hanging\"\npath = %q\n", program), starts
}

func started(starts string) int {
	text, _ := os.ReadFile(starts) // there is none before the first
	return strings.Count(string(text), "\n")
}

// TestStopDoesNotWaitForReloads: neither for the one that hangs nor for those behind it.
func TestStopDoesNotWaitForReloads(t *testing.T) {
	t.Parallel()
	a := startAgent(t, "port = 1\n")
	config, starts := hanging(t)
	a.configure(config)
	for range 3 {
		a.signal(syscall.SIGHUP)
		waitFor(t, "the reload to begin", func() bool { return started(starts) == 1 })
	}
	a.signal(syscall.SIGTERM)
	if err := a.wait(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	if log := a.stderr.String(); !strings.Contains(log, `"error":"the agent stops"`) || !strings.Contains(log, "agent stopped") {
		t.Errorf("the reload was not given up:\n%s", log)
	}
	if n := started(starts); n != 1 {
		t.Errorf("%d reloads were begun, want none after the signal", n)
	}
}

// TestSignalLeavesNoFolderBehind: a check that hangs cleans up when it is told to end.
func TestSignalLeavesNoFolderBehind(t *testing.T) {
	config, starts := hanging(t)
	a := newAgent(t, config)
	for _, args := range [][]string{
		{"check-config", a.configFile()},
		{"validators", "check", filepath.Join(filepath.Dir(starts), "hanging")},
	} {
		dir, err := os.MkdirTemp("/tmp", "tmp") // short, as the paths of sockets must be
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		before := started(starts)
		cmd := a.command(args...)
		cmd.Env = append(cmd.Env, "TMPDIR="+dir)
		a.begin(cmd)
		waitFor(t, "the check to begin", func() bool { return started(starts) > before })
		a.signal(syscall.SIGTERM)
		if err := a.wait(); err == nil {
			t.Errorf("%s: exit 0", args[0])
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: left behind %v, %v", args[0], left, err)
		}
		if text := a.stderr.String(); !strings.Contains(text, "a signal came before the check had ended") {
			t.Errorf("%s said %s", args[0], text)
		}
	}
}

// TestSignalEndsAStart that hangs.
func TestSignalEndsAStart(t *testing.T) {
	config, starts := hanging(t)
	a := newAgent(t, config)
	a.begin(a.command("serve", "--config", a.configFile(), "--port", "0", "--log-format", "json"))
	waitFor(t, "the start to begin", func() bool { return started(starts) == 1 })
	a.signal(syscall.SIGTERM)
	if err := a.wait(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	if log := a.stderr.String(); !strings.Contains(log, "before the agent had started") {
		t.Errorf("the agent logged:\n%s", log)
	}
}

// TestHangUpAtOnce: a SIGHUP that comes while the program is still being initialized is a reload, for
// when the agent has started.
func TestHangUpAtOnce(t *testing.T) {
	t.Parallel()
	a := newAgent(t, "port = 1\n")
	cmd := a.command("serve", "--config", a.configFile(), "--port", "0", "--log-format", "json")
	cmd.Env = append(cmd.Env, "GODEBUG=inittrace=1") // a line for each package; see package runtime
	a.begin(cmd)
	waitFor(t, "the signals to be caught", func() bool {
		return strings.Contains(a.stderr.String(), "init github.com/stepagent/stepagent/agent/internal/agent/signals @")
	})
	a.signal(syscall.SIGHUP)
	waitFor(t, "the reload", func() bool { return strings.Contains(a.stderr.String(), `"generation":2`) })
	a.signal(syscall.SIGTERM)
	if err := a.wait(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
}

// TestSignalsThatMeanNothing leave the agent as it is.
func TestSignalsThatMeanNothing(t *testing.T) {
	t.Parallel()
	a := startAgent(t, "port = 1\n")
	for _, s := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE, syscall.SIGALRM, syscall.SIGVTALRM,
		syscall.SIGIO, syscall.SIGPWR, syscall.SIGXCPU, syscall.SIGXFSZ, syscall.SIGURG, syscall.SIGWINCH, syscall.SIGCHLD, syscall.Signal(64)} {
		a.signal(s)
		if g := a.status().Generation; g != 1 {
			t.Errorf("%v: generation %d is in force", s, g)
		}
	}
	a.signal(syscall.SIGQUIT)
	if err := a.wait(); err == nil || !strings.Contains(a.stderr.String(), "SIGQUIT: quit") {
		t.Errorf("SIGQUIT: %v, want a dump:\n%s", err, a.stderr.String())
	}
}
