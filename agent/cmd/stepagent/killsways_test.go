package main

import (
	"encoding/json"
	"slices"
	"strings"
	"syscall"
	"time"
)

// kill kills the agent while it serves.
func (k *kills) kill() {
	k.t.Helper()
	k.sigkill()
	k.start()
	k.serves()
}

// sigkill kills the agent.
func (k *kills) sigkill() {
	k.t.Helper()
	k.killed++
	k.agent.signal(syscall.SIGKILL)
	k.ended(syscall.SIGKILL)
}

// killStarting kills the agent once more while it starts.
func (k *kills) killStarting() {
	k.t.Helper()
	k.sigkill()
	k.start()
	time.Sleep(time.Duration(k.random.Int64N(int64(k.starts[len(k.starts)-1]))))
	k.killed--
	k.kill()
}

// killForLonger kills the agent, which is back when clients were due long ago.
func (k *kills) killForLonger() {
	k.t.Helper()
	k.sigkill()
	time.Sleep(killsAbsence)
	k.start()
	k.serves()
}

// killPlugin kills the plugin alone: the agent goes on.
func (k *kills) killPlugin() {
	k.t.Helper()
	pid := 0
	waitFor(k.t, "the plugin", func() bool {
		pid = k.agent.status().Validators[0].PID
		return pid != 0
	})
	k.plugins++
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		k.t.Error(err)
	}
}

// killWithPlugin kills the plugin, and soon after the agent, which judges its steps again then.
func (k *kills) killWithPlugin() {
	k.t.Helper()
	k.killPlugin()
	k.plugins--
	time.Sleep(time.Duration(k.random.IntN(20)) * time.Millisecond)
	k.kill()
}

// stop ends the agent as a service manager does.
func (k *kills) stop() {
	k.t.Helper()
	k.stopped++
	k.agent.signal(syscall.SIGTERM)
	k.ended(0)
	k.start()
	k.serves()
}

// killStopping kills the agent while it stops.
func (k *kills) killStopping() {
	k.t.Helper()
	k.agent.signal(syscall.SIGTERM)
	time.Sleep(time.Duration(k.random.IntN(5000)) * time.Microsecond)
	k.killed++
	_ = k.agent.cmd.Process.Kill() // it may have ended
	k.ended(0, syscall.SIGKILL)
	k.start()
	k.serves()
}

// ended waits for the end of the agent, which must be by one of the signals; 0 is for exit 0.
func (k *kills) ended(by ...syscall.Signal) {
	k.t.Helper()
	_ = k.agent.wait() // the process's state has more
	if status := k.agent.cmd.ProcessState.Sys().(syscall.WaitStatus); !slices.Contains(by, syscall.Signal(status)) {
		k.t.Errorf("the agent's end: %v, want one by %v; its log:\n%s", k.agent.cmd.ProcessState, by, tail(k.log()))
	}
	k.checkLog()
}

// checkLog looks for defects, and for sessions that were lost, in the log of the agent that has ended.
func (k *kills) checkLog() {
	k.t.Helper()
	for line := range strings.Lines(k.log()) {
		var entry struct{ Level, Msg string }
		_ = json.Unmarshal([]byte(line), &entry) // the last line may be a part of one
		if entry.Level == "ERROR" {
			k.t.Errorf("the agent logged %s", line)
		}
	}
}
