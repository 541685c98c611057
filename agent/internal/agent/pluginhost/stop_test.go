package pluginhost

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/validator"
)

// However a plugin behaves, Close is done with it long before its bound, and newTestHost
// checks that nothing is left.
func TestP11StopIsBounded(t *testing.T) {
	for name, test := range map[string]struct {
		spec Spec
		do   func(t *testing.T, set *Set)
	}{
		"well behaved": {spec: Spec{Validator: "echo"}},
		"stopped":      {spec: Spec{Validator: "echo"}, do: freeze},
		"hung":         {spec: Spec{Validator: "hang", Settings: []byte(`{"step":3}`)}, do: oneStep},
		"flooding":     {spec: Spec{Validator: "flood", Settings: []byte(`{"step":3}`)}, do: oneStep},
		"crashing":     {spec: Spec{Validator: "crash", Settings: []byte(`{"step":3}`)}, do: oneStep},
		"stubborn":     {spec: Spec{Validator: "echo", Args: []string{"plugin", "ignores-signals"}}},
		"grandchild": {spec: Spec{Validator: "echo", Args: []string{"plugin", "grandchild"}}, do: func(t *testing.T, _ *Set) {
			if grandchildren() != 1 {
				t.Error("there is no grandchild to end")
			}
		}},
		"grandchild of a dead one": {spec: Spec{Validator: "crash", Settings: []byte(`{"step":3}`),
			Args: []string{"plugin", "grandchild"}}, do: oneStep},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := newTestHost(t, func(o *Options) { o.StopTimeout = 100 * time.Millisecond })
			test.spec.Name = "a"
			if test.spec.Args != nil {
				test.spec.Path = self(t)
			}
			set := startSet(t, h, test.spec)
			if test.do != nil {
				test.do(t, set)
			}
			ctx, cancel := context.WithTimeout(t.Context(), maxClose)
			defer cancel()
			set.Close(ctx)
			if ctx.Err() != nil {
				t.Error("Close did not return by itself")
			}
			if left := children(); len(left) > 0 {
				t.Errorf("still there: %v", left)
			}
			if left := dirEntries(t, h.sockets.Path()); len(left) > 0 {
				t.Errorf("sockets are left: %v", left)
			}
			if left := grandchildren(); left > 0 {
				t.Errorf("%d grandchildren are still there", left)
			}
			set.Close(ctx) // again does nothing
			if st := set.Status()[0]; st.State != Stopped || st.PID != 0 {
				t.Errorf("status = %+v", st)
			}
			a := within(t, time.Second, set.Groups()[0], 1)[0]
			if !errors.Is(a.Err, errClosed) {
				t.Errorf("a closed set says %+v", a)
			}
		})
	}
}

func oneStep(t *testing.T, set *Set) { within(t, 50*time.Millisecond, set.Groups()[0], 3) }

// grandchildren counts the living processes that the kinds of grandchildren have started
// below this test.
func grandchildren() int {
	return napping(os.Getpid())
}

func TestCloseAnswersStepsThatWait(t *testing.T) {
	h, _ := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "hang", Settings: []byte(`{"step":3}`)})
	var waiting sync.WaitGroup
	for range 10 {
		waiting.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			a := set.Groups()[0].Judge(ctx, judge.Call{States: make([][]byte, 1), Step: validator.Step{ID: 3}})
			if !errors.Is(a[0].Err, errClosed) {
				t.Errorf("got %+v", a)
			}
		})
	}
	eventually(t, "the steps wait", func() bool { return set.Status()[0].Steps == 10 })
	set.Close(t.Context())
	waiting.Wait()
}

// A signal to the whole group, such as a service manager sends, does not take the validators
// away while the agent lives.
func TestSignalsToThePluginAreTheAgentsBusiness(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "echo"})
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		if err := syscall.Kill(-set.Status()[0].PID, s); err != nil {
			t.Fatal(err)
		}
		for range 100 { // time enough for a signal to arrive
			passes(t, set.Groups()[0], 1)
		}
	}
	if st := set.Status()[0]; st.Restarts != 0 {
		t.Errorf("status = %+v", st)
	}
}

func TestP10TheKernelPrefersThePlugin(t *testing.T) {
	h, _ := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "echo"})
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", set.Status()[0].PID))
	if err != nil || strings.TrimSpace(string(b)) != "500" {
		t.Errorf("oom_score_adj = %q, %v", b, err)
	}
}

func TestP14AgentKilled(t *testing.T) {
	dir := socketsAt(t)
	agent, pid := agentToKill(t, dir)
	plugin, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(plugin) }()
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = agent.Wait() // it was killed
	ended := []unix.PollFd{{Fd: int32(plugin), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(ended, 2000)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n != 1 || err != nil {
			t.Errorf("the plugin lives on: %v", err)
		}
		break
	}

	if left := dirEntries(t, dir); len(left) != 1 {
		t.Errorf("the dead agent left %v, want its one directory", left)
	}
	h, err := New(Options{SocketDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if left := dirEntries(t, dir); len(left) != 1 || !strings.HasSuffix(h.sockets.Path(), left[0]) {
		t.Errorf("after the next start there is %v", left)
	}
	h.Close()
}

func dirEntries(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A daemon of a plugin, which the kernel does not end with the agent, is ended by the next
// one.
func TestP14AgentKilledAndADaemonIsLeft(t *testing.T) {
	dir := socketsAt(t)
	agent, _ := agentToKill(t, dir, "daemon")
	eventually(t, "the daemon runs", func() bool { return napping(agent.Process.Pid) == 1 })
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = agent.Wait() // it was killed
	if napping(agent.Process.Pid) != 1 {
		t.Error("the daemon has ended already: there is nothing to see here")
	}
	h, err := New(Options{SocketDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	eventually(t, "the daemon has ended", func() bool { return napping(agent.Process.Pid) == 0 })
}

// agentToKill starts an agent in a process of its own, and returns it and its plugin's
// process id.
func agentToKill(t *testing.T, dir string, kind ...string) (agent *exec.Cmd, plugin int) {
	t.Helper()
	agent = exec.Command(self(t), append([]string{"agent", dir}, kind...)...)
	agent.Stderr = os.Stderr
	stdin, err := agent.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close() })
	stdout, err := agent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if plugin, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		t.Fatal(err)
	}
	return agent, plugin
}
