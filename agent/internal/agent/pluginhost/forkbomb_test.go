package pluginhost

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
	"github.com/stepagent/stepagent/plugins/validator"
)

// bombProcesses is what the plugin with the bomb may add to its user's processes.
const bombProcesses = 64

// strangerUID is a user who has no processes before the test, not even those of another run of it,
// where the test runs as root: the limit does not bind root.
var strangerUID = uint32(54321 + os.Getpid()%10_000)

// bomb starts processes until it cannot, or has started far too many.
func bomb(context.Context) {
	for range 20 * bombProcesses {
		child := exec.Command("/bin/sleep", nap(os.Getppid()))
		if err := child.Start(); err != nil {
			return
		}
	}
}

// A fork bomb hits its own limit, and not the agent: that one still starts processes, and
// the other plugins judge.
func TestP09ForkBomb(t *testing.T) {
	dir := socketsAt(t)
	agent := exec.Command("/proc/self/exe", "agent", dir, "bombed")
	agent.Stderr = os.Stderr
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, int(strangerUID), int(strangerUID)); err != nil {
			t.Fatal(err)
		}
		agent.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: strangerUID, Gid: strangerUID}}
	}
	stdout, err := agent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "=")
		switch n, err := strconv.Atoi(value); name {
		case "children":
			if err != nil || n == 0 || n > bombProcesses {
				t.Errorf("the bomb started %s processes, want 1 to %d", value, bombProcesses)
			}
		default:
			t.Errorf("the agent says %s", lines.Text())
		}
	}
	if err := agent.Wait(); err != nil {
		t.Errorf("the agent's end: %v", err)
	}
}

// runBombedAgent is an agent, one of whose plugins starts processes without end. It says what
// became of them, and of itself.
func runBombedAgent(socketDir string) error {
	h, err := New(Options{Self: "/proc/self/exe", SelfArgv0: argv0, SocketDir: socketDir})
	if err != nil {
		return err
	}
	defer h.Close()
	set, err := h.Start(context.Background(), []Spec{
		{Name: "bomb", Validator: "bomb", Settings: []byte(`{"step":3}`), Limits: Limits{Processes: bombProcesses}},
		{Name: "other", Validator: "counter", Limits: Limits{Processes: 4 * bombProcesses}},
	})
	if err != nil {
		return err
	}
	defer set.Close(context.Background())
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ask := func(group int, id int64) judge.Answer {
		return set.Groups()[group].Judge(ctx, judge.Call{States: make([][]byte, 1), Step: validator.Step{ID: id}})[0]
	}
	bombed := make(chan judge.Answer)
	go func() { bombed <- ask(0, 3) }()
	most := 0
	for going := true; going; {
		select {
		case <-bombed: // a verdict or none: the plugin may have died of its own limit
			going = false
		case <-time.After(time.Millisecond):
		}
		most = max(most, napping(os.Getpid()))
		if a := ask(1, 1); a.Err != nil {
			fmt.Printf("the other plugin: %v\n", a.Err)
		}
	}
	fmt.Printf("children=%d\n", most)
	if err := exec.Command("/bin/sleep", "0").Run(); err != nil {
		fmt.Printf("the agent can start nothing: %v\n", err)
	}
	set.Close(context.Background())
	for began := time.Now(); napping(os.Getpid()) > 0; time.Sleep(time.Millisecond) { // killed, on their way
		if time.Since(began) > patience {
			return errors.New("children are left")
		}
	}
	return nil
}

// napping counts the processes that plugins of the given agent have started to sleep.
func napping(agent int) (n int) {
	for _, command := range ofProcesses("cmdline") {
		if command == "/bin/sleep\x00"+nap(agent)+"\x00" {
			n++
		}
	}
	return n
}

// The limits hold from before the first instruction: a script of one line, which the kernel
// has hardly begun to run, already finds them.
func TestP09LimitsAreThereFromTheStart(t *testing.T) {
	besideOthers(t)
	h, log := newTestHost(t, nil)
	path := filepath.Join(t.TempDir(), "plugin")
	script := fmt.Sprintf("#!/bin/sh\necho open files: $(ulimit -n) >&2\nexec %s plugin good\n", self(t))
	writeProgram(t, path, []byte(script))
	starts := soaktest.Repetitions(t, 500, 2)
	for range starts {
		set := startSet(t, h, Spec{Name: "a", Validator: "echo", Path: path, Limits: Limits{OpenFiles: 333}})
		pid := set.Status()[0].PID
		for resource, want := range map[int]uint64{unix.RLIMIT_NOFILE: 333, unix.RLIMIT_CORE: 0} {
			var got unix.Rlimit
			if err := unix.Prlimit(pid, resource, nil, &got); err != nil || got.Cur != want || got.Max != want {
				t.Errorf("limit %d is %+v, %v; want %d", resource, got, err, want)
			}
		}
		set.Close(t.Context())
	}
	// Where a seccomp filter is in force, the limits come a moment after the start.
	if got := strings.Count(log.String(), "open files: 333"); got != starts && !underSeccomp(t) {
		t.Errorf("%d of %d scripts found their limit", got, starts)
	}
}

// underSeccomp reports whether a seccomp filter is in force, where nothing is traced.
func underSeccomp(t *testing.T) bool {
	t.Helper()
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	return !strings.Contains(string(status), "\nSeccomp:\t0\n")
}
