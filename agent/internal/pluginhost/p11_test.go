package pluginhost

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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
			other := newProcess(exec.Command("/bin/true"), nil, h.family, nowhere(t), nowhere(t))
			if err := other.start(); err != nil {
				t.Fatal(err)
			}
			<-other.drained // what it has left behind is ended by then
			if st := set.Status()[0]; st.Restarts != 0 || grandchildren() != 1 {
				t.Errorf("%d helpers run of %+v", grandchildren(), st)
			}
			set.Close(t.Context())
			eventually(t, "the helper has ended", func() bool { return grandchildren() == 0 })
		})
	}
}

// What other code of the agent's process starts is none of the host's business.
func TestStraysAreOfOtherSessions(t *testing.T) {
	f := newFamily(true)
	defer f.close()
	ours := newProcess(sleep(), nil, &family{}, nowhere(t), nowhere(t))
	ours.cmd.SysProcAttr.Setsid, ours.cmd.SysProcAttr.Setpgid = false, true
	if err := ours.start(); err != nil {
		t.Fatal(err)
	}
	known := newProcess(sleep(), nil, f, nowhere(t), nowhere(t))
	if err := known.start(); err != nil {
		t.Fatal(err)
	}
	stray := newProcess(sleep(), nil, &family{}, nowhere(t), nowhere(t))
	if err := stray.start(); err != nil {
		t.Fatal(err)
	}
	if got := f.strays(); len(got) != 1 || got[0] != stray.pid() {
		t.Errorf("strays: %v, want %d alone, not %d and %d", got, stray.pid(), ours.pid(), known.pid())
	}
	for _, p := range []*process{ours, stray, known} {
		p.kill()
		<-p.drained
		if how := p.ending(); !strings.Contains(how, unix.SIGKILL.String()) {
			t.Errorf("ended: %s", how)
		}
	}
}

func sleep() *exec.Cmd { return exec.Command("/bin/sleep", nap(os.Getpid())) }

func nowhere(t *testing.T) sink {
	t.Helper()
	l, _ := linesOf(newLineLimit())
	return l
}
