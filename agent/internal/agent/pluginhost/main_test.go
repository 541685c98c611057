package pluginhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/program"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

// patience is how long something may take that normally takes moments.
const patience = time.Minute

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
		os.Exit(runTests(m))
	}
}

// atATime is how many tests run in parallel.
const atATime = 6

// runTests runs the tests. Open files, goroutines and child processes cannot be attributed to one of
// several parallel tests, so it looks for leaks once more after all of them.
func runTests(m *testing.M) int {
	soaktest.Parallel(atATime)
	if r, w, err := os.Pipe(); err == nil { // what the runtime opens for the first of its kind stays
		_, _ = r.Close(), w.Close()
	}
	before, err := openFiles()
	code := m.Run()
	if code != 0 {
		return code
	}
	after, afterErr := openFiles()
	if after > before {
		err = fmt.Errorf("%d files are open, there were %d", after, before)
	}
	if left := children(); len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("processes are left: %v", left))
	}
	if err = errors.Join(err, afterErr, goleak.Find()); err != nil {
		fmt.Fprintf(os.Stderr, "FAIL: after all tests: %v\n", err)
		return 1
	}
	return 0
}

// crowded holds the names of the parallel tests.
var crowded sync.Map

// besideOthers makes a test parallel: it runs with others that call this, after all serial tests. Such
// a test may neither count the children of the process nor set Options.Adopt.
func besideOthers(t *testing.T) {
	t.Helper()
	crowded.Store(t.Name(), true)
	t.Parallel()
}

// isBesideOthers reports whether the test, or the one that it is a part of, has called besideOthers.
func isBesideOthers(t testing.TB) bool {
	name, _, _ := strings.Cut(t.Name(), "/")
	_, ok := crowded.Load(name)
	return ok
}

// same fails the test unless both values are deeply equal. It does without go-cmp, whose package
// variables would take a quarter of the start of each plugin, as every plugin is this program.
func same(t testing.TB, want, got any) {
	t.Helper()
	if !reflect.DeepEqual(want, got) {
		t.Errorf("got %+v, want %+v", got, want)
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
// or made may be left. A sound process on a busy machine may take long to answer a ping, so only
// tests of those that do not answer bound it.
func newTestHost(t testing.TB, change func(*Options)) (*Host, *journal) {
	t.Helper()
	nothingLeft := func() {}
	if !isBesideOthers(t) {
		nothingLeft = nothingNew(t)
	}
	dir := socketsAt(t)
	log := &journal{}
	o := Options{Self: self(t), SelfArgv0: argv0, SocketDir: dir,
		Logger: slog.New(slog.NewTextHandler(log, nil)), PingTimeout: patience}
	if change != nil {
		change(&o)
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	h.checksums = sharedChecksums
	t.Cleanup(func() {
		h.Close()
		nothingLeft()
		left := processesOf(h)
		for began := time.Now(); len(left) > 0 && time.Since(began) < patience; left = processesOf(h) {
			time.Sleep(10 * time.Millisecond) // the kernel may take longer than Set.Close to end a process
		}
		if len(left) > 0 {
			t.Errorf("processes are left: %v", left)
		}
		if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
			t.Errorf("sockets are left: %v, %v", left, err)
		}
		if t.Failed() {
			t.Logf("the log:\n%s", log)
		}
	})
	return h, log
}

// sharedChecksums has the hosts of all tests compute the checksum of the test program once.
var sharedChecksums = &program.Checksums{}

// socketDirVariable names the directory for a plugin's sockets, see validator.proto.
const socketDirVariable = "PLUGIN_UNIX_SOCKET_DIR"

// nothingNew returns a function that fails the test when this process has more goroutines, children
// or open files than now.
func nothingNew(t testing.TB) func() {
	t.Helper()
	running := goleak.IgnoreCurrent()
	before, err := openFiles()
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		goleak.VerifyNone(t, running)
		if left := children(); len(left) > 0 {
			t.Errorf("processes are left: %v", left)
		}
		if n, err := openFiles(); err != nil || n > before {
			t.Errorf("%d files are open, there were %d; %v", n, before, err)
		}
	}
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

func openFiles() (int, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	return len(entries), err
}

// children returns the processes whose parent is the test, dead ones that are not reaped
// among them.
func children() []string {
	var all []string
	for _, stat := range ofProcesses("stat") {
		// pid (name) state ppid; the name may hold anything
		_, rest, _ := strings.Cut(stat, ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(os.Getpid()) {
			all = append(all, stat)
		}
	}
	return all
}

// processesOf returns the living processes that have the directory of the host's sockets in their
// environment: its plugins and what these have started.
func processesOf(h *Host) []string {
	var all []string
	for pid, environ := range ofProcesses("environ") {
		if strings.Contains(environ, socketDirVariable+"="+h.sockets.Path()) {
			all = append(all, pid)
		}
	}
	return all
}

// ofProcesses returns a file in /proc of every process, by process id.
func ofProcesses(file string) map[string]string {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		panic(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		if name := e.Name(); name[0] < '0' || name[0] > '9' {
			continue
		}
		if b, err := os.ReadFile(filepath.Join("/proc", e.Name(), file)); err == nil { // else it has just ended
			all[e.Name()] = string(b)
		}
	}
	return all
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

// eventually waits for something that other processes bring about.
func eventually(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for began := time.Now(); !happened(); time.Sleep(10 * time.Millisecond) {
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
		if len(kind) > 0 {
			spec.Path, spec.Args = os.Args[0], append([]string{"plugin"}, kind...)
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
