// Package process runs a plugin's program as a child process of the agent. The program starts under
// resource limits, in a session of its own and, where the kernel supports it, in a Landlock domain;
// what it prints goes to the log. When it ends or is killed, every process that it started is killed
// with it. The package knows nothing of steps and verdicts: a started process has a unix socket, on
// which the plugin serves gRPC.
package process

import (
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"
)

const (
	// drainTime is how long the output of a process that has ended is still read. What it wrote
	// before its end is in the pipes by then; a grandchild may hold them open forever.
	drainTime = 100 * time.Millisecond
	// reapTime bounds the wait for a killed process. The kernel takes microseconds, unless the
	// process is in an operation that cannot be interrupted.
	reapTime = 300 * time.Millisecond
	// oomScore makes the kernel prefer plugins when it runs out of memory; 1000 is the maximum.
	oomScore = 500
)

// errKilled is the error of a start that comes after Kill.
var errKilled = errors.New("stopped before it was started")

// A Config says how to run a program.
type Config struct {
	// Cmd is the program, not started. Its Env is added to what every plugin gets.
	Cmd *exec.Cmd
	// Path is the program's file, for messages. Label names the plugin in the log.
	Path, Label string
	Limits      Limits
	// Logger gets the lines that the program prints, as many as Lines allows.
	Logger *slog.Logger
	Lines  *rate.Limiter
	// Hide replaces secrets in these lines; nil for none.
	Hide func(text string) string
	// Reaper kills and reaps what the program leaves behind.
	Reaper *Reaper
}

// A Process is one run of a program, with everything that it starts. It is started once, may be
// killed at any time, and ends with the agent, however the agent ends. It is safe for concurrent use.
type Process struct {
	config    Config
	stdout    *handshake
	stderr    *lineLog
	rlimits   []rlimit
	origin    origin        // inherited by all that it starts
	exited    chan struct{} // closed when the program has ended and is reaped
	drained   chan struct{} // closed when, after that, its output is read
	confined  bool          // set before start returns
	startTime time.Time     // set by Start

	// mu guards what follows.
	mu         sync.Mutex
	cmd        *exec.Cmd
	dir        string // of its socket; empty before Start has made it
	killed     bool
	reaped     bool
	killReason string
}

// New returns a process that is not started yet.
func New(c Config) *Process {
	c.Cmd.SysProcAttr = &syscall.SysProcAttr{
		// A session of its own is a process group as well: a signal reaches what the plugin
		// starts, and Ctrl-C at a terminal does not reach the plugin.
		Setsid: true,
		// The kernel kills the plugin when the agent dies, even by SIGKILL. What the plugin
		// itself started is not covered.
		Pdeathsig: syscall.SIGKILL,
		// The limits are in force before the first instruction of the program.
		Ptrace: canTrace(),
	}
	return &Process{
		config: c, cmd: c.Cmd, rlimits: c.Limits.rlimits(), origin: c.Reaper.nextOrigin(),
		stdout: newHandshake(newLineLog(c, "stdout")),
		stderr: newLineLog(c, "stderr"),
		exited: make(chan struct{}), drained: make(chan struct{}),
	}
}

// wait blocks its thread until the program ends, kills what it left behind and reaps it.
func (p *Process) wait(o *outputs) {
	pid, reaper := p.cmd.Process.Pid, p.config.Reaper
	// Without reaping, so that the kernel gives the id to no other process or group yet.
	_ = uninterrupted(func() error { return unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) })
	p.mu.Lock()
	_ = unix.Kill(-pid, unix.SIGKILL) // the group is mostly empty by now
	reaper.starting.RLock()
	_ = p.cmd.Wait() // ProcessState tells how it ended
	reaper.plugins.CompareAndDelete(pid, p)
	reaper.starting.RUnlock()
	p.reaped = true
	p.mu.Unlock()
	close(p.exited)
	swept := make(chan struct{})
	reaper.sweep(func() {
		defer close(swept)
		reaper.killLeftovers(p.config.Label)
	})
	<-swept

	for _, pipe := range o.pipes {
		_ = pipe.SetReadDeadline(time.Now().Add(drainTime)) // a pipe has deadlines
	}
	o.work.Wait()
	for _, pipe := range o.pipes {
		_ = pipe.Close() // read only
	}
	close(p.drained)
}

// Kill kills the process and its process group, and does not wait. A process that is killed before
// its start is never started.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed = true
	if p.cmd.Process != nil && !p.reaped {
		_ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL) // an error means that it has ended
	}
}

// Close kills the process, waits a bounded time for its end and removes the directory of its socket.
func (p *Process) Close() {
	p.Kill()
	if p.PID() != 0 {
		select {
		case <-p.drained:
		case <-time.After(reapTime):
		}
	}
	if dir := p.socketDir(); dir != "" {
		_ = removeTree(dir, removeTime) // SocketDir.Close or the next agent removes the rest
	}
}

// PID returns the id of the process, or 0 when it was never started.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd.Process == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Exited is closed when the program has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Started returns when Start executed the program.
func (p *Process) Started() time.Time { return p.startTime }

// Confined reports whether the program runs in a Landlock domain.
func (p *Process) Confined() bool { return p.confined }

// Ending says how the process ended, such as "exit status 1" or "signal: killed", and waits a moment
// for one that is about to end. It is empty while the process runs.
func (p *Process) Ending() string {
	select {
	case <-p.exited:
	case <-time.After(drainTime):
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killReason != "" {
		return p.killReason
	}
	return p.cmd.ProcessState.String()
}

// killFor kills the process and keeps the reason for Ending.
func (p *Process) killFor(format string, args ...any) {
	p.mu.Lock()
	p.killReason = fmt.Sprintf(format, args...)
	p.mu.Unlock()
	p.Kill()
}

func (p *Process) socketDir() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dir
}
