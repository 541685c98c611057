package pluginhost

import (
	"log/slog"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/process"
)

// A plugin's grandchild that has left its process group, as daemons do, and holds its pipes,
// ends with the plugin, whether that is stopped or crashes.
func TestP11AGrandchildThatLeftTheGroup(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, set *Set){
		"stop":  func(*testing.T, *Set) {},
		"crash": func(t *testing.T, set *Set) { within(t, patience, set.Groups()[0], 3) },
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := newTestHost(t, func(o *Options) {
				atOnce(o)
				o.Adopt = true
			})
			set := startSet(t, h, Spec{Name: "a", Validator: "crash", Settings: []byte(`{"step":3}`),
				Path: self(t), Args: []string{"plugin", "daemon"}})
			eventually(t, "the daemon runs", func() bool { return grandchildren() == 1 })
			end(t, set)
			eventually(t, "one process and its daemon", func() bool {
				return set.Status()[0].State == Serving && grandchildren() == 1
			})
			passes(t, set.Groups()[0], 1)
			began := time.Now()
			set.Close(t.Context())
			if took := time.Since(began); took > maxClose {
				t.Errorf("Close took %v", took)
			}
			eventually(t, "the daemon has ended", func() bool { return grandchildren() == 0 })
		})
	}
}

// What a plugin runs in the background is its own for as long as it lives: the end of another one
// does not take it away.
func TestP11TheHelperOfAnotherPluginGoesOn(t *testing.T) {
	for _, kind := range []string{"helper", "helper-daemon"} {
		t.Run(kind, func(t *testing.T) {
			h, _ := newTestHost(t, func(o *Options) { o.Adopt = true })
			set := startSet(t, h, Spec{Name: "a", Validator: "echo", Path: self(t), Args: []string{"plugin", kind}})
			eventually(t, "the helper runs", func() bool { return grandchildren() == 1 })
			other := process.New(process.Config{Cmd: exec.Command("/bin/true"), Path: "/bin/true", Reaper: h.reaper,
				Logger: h.options.Logger, Lines: process.NewLineLimit()})
			if _, err := other.Start(t.Context(), h.sockets); err == nil || other.PID() == 0 {
				t.Fatalf("process %d, %v", other.PID(), err)
			}
			other.Close() // what it has left behind is killed by then
			if st := set.Status()[0]; st.Restarts != 0 || grandchildren() != 1 {
				t.Errorf("%d helpers run of %+v", grandchildren(), st)
			}
			set.Close(t.Context())
			eventually(t, "the helper has ended", func() bool { return grandchildren() == 0 })
		})
	}
}

// A daemon that has left its plugin's session, has lost its parents and has no environment is known
// still: it runs while its plugin does, also when another plugin ends; then it is killed, and the log
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
