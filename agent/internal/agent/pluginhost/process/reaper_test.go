package process

import (
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// A process that takes longer to end than its stop waits for it is swept after all, beside the close
// or after it.
func TestSweepBesideTheClose(*testing.T) {
	for range 100 {
		f := newTestReaper()
		closed, swept := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(closed)
			f.Close()
		}()
		f.sweep(func() { close(swept) })
		<-swept
		<-closed
	}
}

// startStranger starts a child of this process that no plugin is, as the shell before an agent may
// have. Only the Reaper reaps it.
func startStranger(t *testing.T, attr *syscall.SysProcAttr, args ...string) procStat {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s, ok := readProcStat(cmd.Process.Pid)
	if !ok {
		t.Fatalf("no process %d", cmd.Process.Pid)
	}
	if err := cmd.Process.Release(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.kill() })
	return s
}

func isThereStill(s procStat) bool {
	now, ok := readProcStat(s.pid)
	return ok && now.started == s.started
}

// Children that come from no plugin are left alone when plugins end, in whatever session they are, and
// are reaped when they end.
func TestStrangersAreReapedAndNotKilled(t *testing.T) {
	log := &journal{}
	r := NewReaper(true, "/x/agent3000000000", slog.New(slog.NewTextHandler(log, nil)))
	defer r.Close()
	var strangers []procStat
	for _, attr := range []*syscall.SysProcAttr{{}, {Setpgid: true}, {Setsid: true}} {
		strangers = append(strangers, startStranger(t, attr, "/bin/sleep", nap(os.Getpid())))
	}
	// One that comes to the agent when its parent ends, as to the first process of a container.
	startStranger(t, &syscall.SysProcAttr{Setsid: true}, "/bin/sh", "-c", "/bin/sleep "+nap(os.Getpid())+" & exit 0")
	adopted := func() (all []procStat) {
		for _, s := range r.otherChildren() {
			if s.name == "sleep" && !s.dead && s.pid != strangers[0].pid && s.pid != strangers[1].pid && s.pid != strangers[2].pid {
				all = append(all, s)
			}
		}
		return all
	}
	eventually(t, "the orphan is adopted", func() bool { return len(adopted()) == 1 })
	strangers = append(strangers, adopted()...)
	for range 2 {
		p := newTestProcess(sleeper(os.Getpid()), r)
		if err := (runner{p}).Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.Kill()
		<-p.drained
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
	eventually(t, "it has ended", func() bool { now, ok := readProcStat(s.pid); return ok && now.dead })
	f := NewReaper(true, "", slog.New(slog.DiscardHandler))
	defer f.Close()
	eventually(t, "it is reaped", func() bool { return !isThereStill(s) })
}
