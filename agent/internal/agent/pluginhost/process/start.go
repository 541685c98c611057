package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	goplugrunner "github.com/hashicorp/go-plugin/runner"
	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/plugins/sdk"
)

// Start executes the program and returns the path of the plugin's socket, which is below sockets. When
// the context, which has a deadline, ends first, the process is killed. Diagnose says why it failed.
//
// go-plugin supplies the handshake. Its Client is used once for each start, without its Kill, which
// waits without a bound for a stopped process, and without its gRPC connection, which carries the
// plugin's output beside the verdicts.
func (p *Process) Start(ctx context.Context, sockets *SocketDir) (socket string, err error) {
	defer context.AfterFunc(ctx, p.Kill)()
	dir, err := sockets.Repair()
	if err != nil {
		return "", err
	}
	p.startTime = time.Now()
	deadline, _ := ctx.Deadline()
	address, err := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  sdk.Handshake(),
		VersionedPlugins: sdk.Versions(),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, dir string) (goplugrunner.Runner, error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.dir = dir
			p.cmd.Env = append(append(environment(), p.cmd.Env...), cmd.Env...)
			return runner{p}, nil
		},
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: dir},
		SkipHostEnv:      true,
		StartTimeout:     2 * time.Until(deadline), // the context ends first, and says why
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Off}),
	}).Start()
	if err != nil {
		return "", err
	}
	if err := checkHandshake(p.config.Path, p.stdout.text()); err != nil {
		return "", err
	}
	socket = address.String()
	if !isSameDir(filepath.Dir(socket), p.socketDir()) {
		return "", fmt.Errorf("it listens on %.100s; its socket must be in the directory that PLUGIN_UNIX_SOCKET_DIR names", socket)
	}
	return socket, nil
}

// isSameDir compares directories: a plugin may have resolved links on the way to its own.
func isSameDir(a, b string) bool {
	one, errOne := os.Stat(a)
	other, errOther := os.Stat(b)
	return errOne == nil && errOther == nil && os.SameFile(one, other)
}

// environment returns the part of the agent's environment that a plugin gets: what a script needs to
// find its interpreter and to print text, and the folder of the secrets that systemd has for the
// service (LoadCredential in systemd.exec(5)). Nothing else, as it may be secret.
func environment() []string {
	env := []string{}
	for _, key := range []string{"PATH", "HOME", "LANG", "LC_ALL", "TZ", "CREDENTIALS_DIRECTORY"} {
		if value, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+value)
		}
	}
	return env
}

// run is the life of the program, on a thread of its own. To the kernel the parent of a process is a
// thread: Pdeathsig is sent when the thread that started it ends, which the runtime lets idle threads
// do (golang/go#27505). So this thread does nothing else while the process lives. It is confined with
// the process, and ends with this goroutine, as it is never unlocked.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		// The main thread cannot end. It stays locked until another goroutine has a thread of its own.
		defer runtime.UnlockOSThread()
		locked := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(locked)
			p.run(started)
		}()
		<-locked
		return
	}
	p.confined = confineThread() == nil
	out, err := p.execute()
	started <- err
	if err == nil {
		p.wait(out)
	}
}

// outputs are the agent's ends of a process's pipes and the goroutines that work while it lives.
type outputs struct {
	pipes [2]*os.File
	work  sync.WaitGroup
}

func (p *Process) execute() (*outputs, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killed {
		return nil, errKilled
	}
	// Pipes of our own: exec.Cmd.Wait waits until every process has closed the pipes that it makes.
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	errRead, errWrite, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, outRead.Close(), outWrite.Close())
	}
	p.cmd.Stdout, p.cmd.Stderr = outWrite, errWrite
	startErr := p.startLimited()
	closeErr := errors.Join(outWrite.Close(), errWrite.Close())
	if startErr != nil {
		return nil, errors.Join(startErr, closeErr, outRead.Close(), errRead.Close())
	}
	o := &outputs{pipes: [2]*os.File{outRead, errRead}}
	for i, to := range []sink{p.stdout, p.stderr} {
		o.work.Go(func() { readOutput(o.pipes[i], to) })
	}
	if most := p.config.Limits.Processes; most > 0 && os.Geteuid() == 0 {
		o.work.Go(func() { p.watchTaskCount(most) })
	}
	return o, nil
}

// startLimited starts the program under its limits. The caller holds mu, and its thread is locked.
func (p *Process) startLimited() error {
	p.config.Reaper.starting.RLock()
	defer p.config.Reaper.starting.RUnlock()
	err := p.cmd.Start()
	forbidden := errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS)
	if attr := p.cmd.SysProcAttr; forbidden && attr.Ptrace {
		attr.Ptrace = false // see ptrace_scope in ptrace(2); an emulator does not have it
		c := p.cmd          // an exec.Cmd is started once
		p.cmd = &exec.Cmd{Path: c.Path, Args: c.Args, Env: c.Env, ExtraFiles: c.ExtraFiles,
			Stdout: c.Stdout, Stderr: c.Stderr, SysProcAttr: attr}
		err = p.cmd.Start()
	}
	if err != nil {
		return err
	}
	pid := p.cmd.Process.Pid
	limit := func() error {
		// Best effort: see oom_score_adj in proc_pid_oom_score_adj(5).
		_ = os.WriteFile(procPath(pid, "oom_score_adj"), []byte(strconv.Itoa(oomScore)), 0)
		p.origin.mark(pid)
		return setLimits(pid, p.rlimits)
	}
	if p.cmd.SysProcAttr.Ptrace {
		err = whileStopped(pid, limit)
	} else {
		err = limit() // soon after the start
	}
	if err != nil && !errors.Is(err, unix.ESRCH) {
		_ = unix.Kill(-pid, unix.SIGKILL)
		_ = p.cmd.Wait() // it was killed
		return err
	}
	p.config.Reaper.plugins.Store(pid, p)
	return nil
}
