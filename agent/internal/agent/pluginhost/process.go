package pluginhost

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// drainTime is how long the output of a process that has ended is still read. What it wrote
// before its end is in the pipes by then; a grandchild may hold them open for ever.
const drainTime = 100 * time.Millisecond

// oomScore is added to what the kernel makes of a plugin's size when it looks for a process
// to end; 1000 is the most.
const oomScore = 500

// errCondemned is the error of a start that comes after the kill.
var errCondemned = errors.New("stopped before it was started")

// A process is one run of a program, with everything that it starts in a session and process
// group of its own. It is made with newProcess, started once and may be killed at any time. It ends
// with the agent, however the agent ends.
type process struct {
	cmd    *exec.Cmd
	label  string  // of its plugin, for the log
	output [2]sink // for stdout and stderr
	limits []rlimit
	family *family
	origin origin // of all that it starts
	// guarded is how many processes and threads it may have where the kernel does not see to
	// that; 0 for any number.
	guarded uint64

	confined  bool // set before start returns
	mu        sync.Mutex
	condemned bool
	reaped    bool
	blamed    string // for what it was killed

	exited  chan struct{} // closed when the program has ended and is reaped
	drained chan struct{} // closed when, after that, its output is read
}

// newProcess returns a process that is still to be started. What the program prints goes to
// stdout and stderr, to each from a goroutine of its own.
func newProcess(cmd *exec.Cmd, limits []rlimit, f *family, stdout, stderr sink) *process {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// A session of its own, and with it a process group, so that a signal reaches what the
		// plugin itself starts, and so that Ctrl-C at a terminal does not.
		Setsid: true,
		// The kernel kills the plugin when the agent dies, even by SIGKILL. What the plugin
		// itself started is not covered.
		Pdeathsig: syscall.SIGKILL,
		// The limits are there before the first instruction of the program.
		Ptrace: mayHold(),
	}
	return &process{
		cmd: cmd, output: [2]sink{stdout, stderr}, limits: limits, family: f, origin: f.nextOrigin(),
		exited: make(chan struct{}), drained: make(chan struct{}),
	}
}

// start executes the program.
func (p *process) start() error {
	started := make(chan error)
	go p.live(started)
	return <-started
}

// live runs the program from its start to its end, on a thread of its own. To the kernel the
// parent is the thread and not the agent: Pdeathsig strikes when the thread that started the
// process ends, which the runtime lets idle threads do (golang/go#27505). So this thread does
// nothing else for as long as the process lives. It is confined with it, and ends with this goroutine,
// as it is not unlocked.
func (p *process) live(started chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		// The main thread cannot end. While it is held here the other goroutine has another.
		defer runtime.UnlockOSThread()
		over := make(chan struct{})
		go func() {
			defer close(over)
			p.live(started)
		}()
		<-over
		return
	}
	p.confined = confine() == nil
	reading, err := p.execute()
	started <- err
	if err == nil {
		p.wait(reading)
	}
}

// A reading is the agent's end of the pipes of one process, and who works for as long as it lives.
type reading struct {
	pipes [2]*os.File
	done  sync.WaitGroup
}

func (p *process) execute() (*reading, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.condemned {
		return nil, errCondemned
	}
	// Pipes of our own: those of exec.Cmd stay open until everybody has closed them.
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	errRead, errWrite, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, outRead.Close(), outWrite.Close())
	}
	p.cmd.Stdout, p.cmd.Stderr = outWrite, errWrite
	startErr := p.bear()
	closeErr := errors.Join(outWrite.Close(), errWrite.Close())
	if startErr != nil {
		return nil, errors.Join(startErr, closeErr, outRead.Close(), errRead.Close())
	}
	r := &reading{pipes: [2]*os.File{outRead, errRead}}
	for i, pipe := range r.pipes {
		r.done.Go(func() { readOutput(pipe, p.output[i]) })
	}
	if p.guarded > 0 && os.Geteuid() == 0 {
		r.done.Go(func() { p.guard(p.guarded) })
	}
	return r, nil
}

// bear starts the program with its limits. The caller holds mu, and its thread is locked.
func (p *process) bear() error {
	p.family.mu.RLock()
	defer p.family.mu.RUnlock()
	err := p.cmd.Start()
	forbidden := errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS)
	if held := p.cmd.SysProcAttr; forbidden && held.Ptrace {
		held.Ptrace = false // see ptrace_scope in ptrace(2); an emulator has none of it
		again := *p.cmd     // an exec.Cmd is started once
		p.cmd = &exec.Cmd{Path: again.Path, Args: again.Args, Env: again.Env, ExtraFiles: again.ExtraFiles,
			Stdout: again.Stdout, Stderr: again.Stderr, SysProcAttr: held}
		err = p.cmd.Start()
	}
	if err != nil {
		return err
	}
	pid := p.cmd.Process.Pid
	bind := func() error {
		preferForOOM(pid)
		p.origin.mark(pid)
		return limit(pid, p.limits)
	}
	if p.cmd.SysProcAttr.Ptrace {
		err = whileHeld(pid, bind)
	} else {
		err = bind() // as soon as may be
	}
	if err != nil && !errors.Is(err, unix.ESRCH) {
		_ = unix.Kill(-pid, unix.SIGKILL)
		_ = p.cmd.Wait() // it was killed
		return err
	}
	p.family.members.Store(pid, p)
	return nil
}

// preferForOOM lets the kernel, when memory runs out, end this process and not the agent,
// which can start it again; see oom_score_adj in proc_pid_oom_score_adj(5). A plugin works as
// well where that is not possible.
func preferForOOM(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte(strconv.Itoa(oomScore)), 0)
}

// wait blocks its thread until the program ends, kills what it left behind and reaps it.
func (p *process) wait(r *reading) {
	pid := p.cmd.Process.Pid
	for {
		// Without reaping: until then nobody else can get the id of the process or group.
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	p.mu.Lock()
	_ = unix.Kill(-pid, unix.SIGKILL) // mostly nobody is left
	p.family.mu.RLock()
	_ = p.cmd.Wait() // the state tells how it ended
	p.family.members.CompareAndDelete(pid, p)
	p.family.mu.RUnlock()
	p.reaped = true
	p.mu.Unlock()
	close(p.exited)
	swept := make(chan struct{})
	p.family.sweep(func() {
		defer close(swept)
		p.family.endStrays(p)
	})
	<-swept

	for _, pipe := range r.pipes {
		_ = pipe.SetReadDeadline(time.Now().Add(drainTime)) // a pipe has deadlines
	}
	r.done.Wait()
	for _, pipe := range r.pipes {
		_ = pipe.Close() // read only
	}
	close(p.drained)
}

// kill ends the process and everything in its group. It does not wait. Killing a process
// that is not started yet keeps it from being started.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.condemned = true
	if p.cmd.Process != nil && !p.reaped {
		_ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL) // gone already is as good
	}
}

// pid returns the id of the process, or 0 when it was never started.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd.Process == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// ending says how the process ended, such as "exit status 1" or "signal: killed"; empty
// while it runs.
func (p *process) ending() string {
	select {
	case <-p.exited:
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.blamed != "" {
			return p.blamed
		}
		return p.cmd.ProcessState.String()
	default:
		return ""
	}
}

// blame notes why the process is about to be killed.
func (p *process) blame(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blamed = what
}
