package pluginhost

import (
	"bufio"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A process that takes longer to end than its stop waits for it is swept after all, beside the close
// or after it.
func TestSweepBesideTheClose(*testing.T) {
	for range 100 {
		f := newFamily(false, "", slog.New(slog.DiscardHandler))
		closed, swept := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(closed)
			f.close()
		}()
		f.sweep(func() { close(swept) })
		<-swept
		<-closed
	}
}

// startStranger starts a child of this process that no plugin is, as the shell before an agent may
// have. Only the family reaps it.
func startStranger(t *testing.T, attr *syscall.SysProcAttr, args ...string) suspect {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s, ok := suspectOf(cmd.Process.Pid)
	if !ok {
		t.Fatalf("no process %d", cmd.Process.Pid)
	}
	if err := cmd.Process.Release(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.kill() })
	return s
}

func isThereStill(s suspect) bool {
	now, ok := suspectOf(s.pid)
	return ok && now.started == s.started
}

// Children that come from no plugin are left alone when plugins end, in whatever session they are, and
// are reaped when they end.
func TestStrangersAreReapedAndNotKilled(t *testing.T) {
	h, log := newTestHost(t, func(o *Options) { o.Adopt = true })
	var strangers []suspect
	for _, attr := range []*syscall.SysProcAttr{{}, {Setpgid: true}, {Setsid: true}} {
		strangers = append(strangers, startStranger(t, attr, "/bin/sleep", nap(os.Getpid())))
	}
	// One that comes to the agent when its parent ends, as to the first process of a container.
	startStranger(t, &syscall.SysProcAttr{Setsid: true}, "/bin/sh", "-c", "/bin/sleep "+nap(os.Getpid())+" & exit 0")
	adopted := func() (all []suspect) {
		for _, s := range h.family.others() {
			if s.name == "sleep" && !s.dead && s.pid != strangers[0].pid && s.pid != strangers[1].pid && s.pid != strangers[2].pid {
				all = append(all, s)
			}
		}
		return all
	}
	eventually(t, "the orphan is adopted", func() bool { return len(adopted()) == 1 })
	strangers = append(strangers, adopted()...)
	for range 2 {
		set := startSet(t, h, Spec{Name: "a", Validator: "echo"})
		passes(t, set.Groups()[0], 1)
		set.Close(t.Context())
	}
	for i, s := range strangers {
		if !isThereStill(s) {
			t.Errorf("stranger %d was killed", i)
		}
		s.kill()
	}
	eventually(t, "strangers are reaped", func() bool { return len(children()) == 0 })
	if strings.Contains(log.String(), "left behind") {
		t.Error("the log says that a plugin left them behind")
	}
}

// What ended before the agent began is reaped too.
func TestWhatEndedBeforeIsReaped(t *testing.T) {
	s := startStranger(t, &syscall.SysProcAttr{}, "/bin/true")
	eventually(t, "it has ended", func() bool { now, ok := suspectOf(s.pid); return ok && now.dead })
	f := newFamily(true, "", slog.New(slog.DiscardHandler))
	defer f.close()
	eventually(t, "it is reaped", func() bool { return !isThereStill(s) })
}

// A daemon that has left its plugin's session, has lost its parents and has no environment is known
// still: while its plugin lives it goes on, also when another one ends; then it is killed, and the log
// says so.
func TestHiddenDaemon(t *testing.T) {
	h, log := newTestHost(t, func(o *Options) { o.Adopt = true })
	set := startSet(t, h, Spec{Name: "a", Validator: "echo", Path: self(t), Args: []string{"plugin", "hidden-daemon"}})
	eventually(t, "the daemon runs", func() bool { return grandchildren() == 1 })
	other := startSet(t, h, Spec{Name: "b", Validator: "echo"})
	other.Close(t.Context())
	if st := set.Status()[0]; st.Restarts != 0 || grandchildren() != 1 {
		t.Errorf("%d daemons run of %+v", grandchildren(), st)
	}
	set.Close(t.Context())
	eventually(t, "the daemon has ended", func() bool { return grandchildren() == 0 })
	eventually(t, "the log says so", func() bool {
		return strings.Contains(log.String(), `msg="killed a process that a plugin left behind" plugin=`+label(self(t)))
	})
	if !strings.Contains(log.String(), "name=sleep") {
		t.Error("the log does not name the process")
	}
}

func label(path string) string { return Spec{Path: path}.label() }

// The next agent ends such a daemon of one that was killed.
func TestHiddenDaemonOfAKilledAgent(t *testing.T) {
	dir := socketsAt(t)
	agent, _ := agentToKill(t, dir, "hidden-daemon")
	eventually(t, "the daemon runs", func() bool { return napping(agent.Process.Pid) == 1 })
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = agent.Wait() // it was killed
	if napping(agent.Process.Pid) != 1 {
		t.Error("the daemon has ended already: there is nothing to see here")
	}
	log := &journal{}
	h, err := New(Options{SocketDir: dir, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	eventually(t, "the daemon has ended", func() bool { return napping(agent.Process.Pid) == 0 })
	if !strings.Contains(log.String(), `killed a process that a plugin left behind" agent=`+dir) {
		t.Errorf("the log:\n%s", log)
	}
}

// A number that another process has got since kills nothing.
func TestKillSparesAnotherWithTheSameNumber(t *testing.T) {
	sleeper := exec.Command("/bin/sleep", nap(os.Getpid()))
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	s, ok := suspectOf(sleeper.Process.Pid)
	if !ok {
		t.Fatal("it is not there")
	}
	earlier := s
	earlier.started = "1"
	if earlier.kill() || !isThereStill(s) {
		t.Error("it was killed for an earlier one")
	}
	if !s.kill() {
		t.Error("it was not killed")
	}
	_ = sleeper.Wait() // it was killed
}

// Many are counted, and not each named.
func TestKillLines(t *testing.T) {
	t.Parallel()
	log := &journal{}
	lines := &killLines{log: slog.New(slog.NewTextHandler(log, nil))}
	for n := range maxKillLines + 5 {
		lines.add(suspect{pid: n, name: "x\x1b"})
	}
	lines.end()
	if got := strings.Count(log.String(), "\n"); got != maxKillLines+1 || !strings.Contains(log.String(), "further=5") {
		t.Errorf("%d lines:\n%s", got, log)
	}
}

// The name of a process may look like the rest of its line.
func TestSuspectOfAnyName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a) R 1 (b")
	writeProgram(t, path, []byte("#!/bin/sh\necho; read x\n"))
	cmd := exec.Command(path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if s, ok := suspectOf(cmd.Process.Pid); !ok || s.parent != os.Getpid() || s.name != "a) R 1 (b" || s.dead {
		t.Errorf("got %+v", s)
	}
	_ = in.Close()
	_ = cmd.Wait() // its exit status means nothing
}

// TestAgentNumber: only what the kernel keeps as a limit marks.
func TestAgentNumber(t *testing.T) {
	t.Parallel()
	for dir, want := range map[string]uint64{
		"/x/agent2147483648": 1 << 31, "/x/agent4294967294": 1<<32 - 2, "/x/agent4294967295": 0,
		"/x/agent2147483647": 0, "/x/agent": 0, "": 0, "/x/agent99999999999999999999": 0,
	} {
		if got := agentNumber(dir); got != want {
			t.Errorf("%s: %d, want %d", dir, got, want)
		}
	}
	shared := t.TempDir()
	for range 10 {
		dir, err := makeAgentDir(shared)
		if err != nil || agentNumber(dir) == 0 || len(filepath.Base(dir)) > len("agent4294967295") {
			t.Errorf("%s, %v", dir, err)
		}
	}
	f := &family{agent: 1 << 31}
	if one, two := f.nextOrigin(), f.nextOrigin(); one == two {
		t.Error("two runs have one origin")
	}
	var had unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_LOCKS, &had); err != nil {
		t.Fatal(err)
	}
	if got := originOf(os.Getpid()); got != (origin{}) {
		t.Errorf("this process comes from the plugin %+v; its limit is %d", got, had.Max)
	}
}
