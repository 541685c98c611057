package process

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long something may take that normally takes moments.
const patience = time.Minute

// The test program is also a plugin that starts many processes and stays.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "plugin" {
		scatter(os.Args[2] == "scatters-orphans")
		time.Sleep(time.Hour) // without cgo, Go ends a process that waits for nothing
	}
	os.Exit(m.Run())
}

// scatter starts processes that leave the session; with orphans they lose their parents as well.
func scatter(orphans bool) {
	for range 2 * bombProcesses {
		child := sleeper(os.Getppid())
		if orphans {
			child = exec.Command("/bin/sh", "-c", "/bin/sleep "+nap(os.Getppid())+" &")
		}
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := child.Start(); err != nil {
			panic(err)
		}
		if orphans {
			_ = child.Wait() // its exit status means nothing
		}
	}
}

// nap is how long a process sleeps that the given test has started: an hour and a fraction that tells
// it from those of other tests.
func nap(test int) string { return fmt.Sprintf("3600.%d", test) }

func sleeper(test int) *exec.Cmd { return exec.Command("/bin/sleep", nap(test)) }

// napping counts the processes that sleep for this test.
func napping() (n int) {
	for _, s := range procStats() {
		if s.name != "sleep" {
			continue
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.pid))
		if err == nil && string(b) == "/bin/sleep\x00"+nap(os.Getpid())+"\x00" {
			n++
		}
	}
	return n
}

// children returns the processes whose parent is the test, dead ones that are not reaped among them.
func children() (all []procStat) {
	for _, s := range procStats() {
		if s.parent == os.Getpid() {
			all = append(all, s)
		}
	}
	return all
}

// newTestProcess returns a process whose output is dropped.
func newTestProcess(cmd *exec.Cmd, r *Reaper) *Process {
	return New(Config{Cmd: cmd, Reaper: r, Logger: slog.New(slog.DiscardHandler), Lines: NewLineLimit()})
}

func newTestReaper() *Reaper { return NewReaper(false, "", slog.New(slog.DiscardHandler)) }

// A journal is a log that tests can read while it is written.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// eventually waits for something that other processes bring about.
func eventually(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for began := time.Now(); !happened(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// shortDir returns a directory with a path short enough for sockets.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ph"+strconv.Itoa(os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func dirEntries(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// writeProgram writes an executable file. A parallel test that forks meanwhile would hold the file open
// until it executes its own program, and the kernel executes no file that is open for writing
// (golang/go#22315); so no test forks while the file is open.
func writeProgram(t testing.TB, path string, content []byte) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
}
