package pluginhost

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long something may take that normally takes moments.
const patience = 20 * time.Second

// argv0 is the name under which the test program is the bundled plugin.
const argv0 = "bundled-plugin"

// The test program is every plugin of these tests, and once an agent, so that what is tested
// are real processes.
func TestMain(m *testing.M) {
	switch {
	case os.Args[0] == argv0:
		serveBundled()
	case len(os.Args) > 2 && os.Args[1] == "plugin":
		misbehave(os.Args[2])
	case len(os.Args) > 2 && os.Args[1] == "agent":
		runAgent(os.Args[2], os.Args[3:])
	default:
		os.Exit(m.Run())
	}
}

// self returns the path of the test program.
func self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

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

// newTestHost returns a host and its log. When the test ends, nothing that the host started
// or made may be left.
func newTestHost(t testing.TB, change func(*Options)) (*Host, *journal) {
	t.Helper()
	fds, before := openFiles(t), goleak.IgnoreCurrent()
	dir := socketsAt(t)
	log := &journal{}
	o := Options{Self: self(t), SelfArgv0: argv0, SocketDir: dir,
		Logger: slog.New(slog.NewTextHandler(log, nil))}
	if change != nil {
		change(&o)
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.Close()
		goleak.VerifyNone(t, before)
		if left := children(t); len(left) > 0 {
			t.Errorf("processes are left: %v", left)
		}
		if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
			t.Errorf("sockets are left: %v, %v", left, err)
		}
		if n := openFiles(t); n > fds {
			t.Errorf("%d files are open, there were %d", n, fds)
		}
		if t.Failed() {
			t.Logf("the log:\n%s", log)
		}
	})
	return h, log
}

// socketsAt returns a directory with a path short enough for sockets.
func socketsAt(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ph")
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

// startSet starts a set that is closed with the test.
func startSet(t testing.TB, h *Host, specs ...Spec) *Set {
	t.Helper()
	set, err := h.Start(t.Context(), specs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close(context.Background()) }) // the test's own context has ended by then
	return set
}

func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// children returns the processes whose parent is the test, dead ones that are not reaped
// among them.
func children(t testing.TB) []string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		// pid (name) state ppid; the name may hold anything
		_, rest, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(os.Getpid()) {
			all = append(all, string(b))
		}
	}
	return all
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

// runAgent is an agent with one plugin. It says the plugin's process id and stays.
func runAgent(socketDir string, kind []string) {
	if slices.Contains(kind, "bombed") {
		if err := runBombedAgent(socketDir); err != nil {
			fmt.Println(err)
		}
		return
	}
	h, err := New(Options{Self: os.Args[0], SelfArgv0: argv0, SocketDir: socketDir})
	if err == nil {
		var set *Set
		spec := Spec{Name: "e", Validator: "echo"}
		if slices.Contains(kind, "daemon") {
			spec.Path, spec.Args = os.Args[0], []string{"plugin", "daemon"}
		}
		if set, err = h.Start(context.Background(), []Spec{spec}); err == nil {
			fmt.Println(set.Status()[0].PID)
			_, _ = io.Copy(io.Discard, os.Stdin)
			return
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
