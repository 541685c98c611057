package pluginhost

import (
	"log/slog"
	"os"
	"os/exec"
	"slices"
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

// A stray is what comes from a plugin that has ended.
func TestStraysComeFromPluginsThatHaveEnded(t *testing.T) {
	f := newFamily(true, "/x/agent3000000000", slog.New(slog.DiscardHandler))
	elsewhere := &family{agent: 3000000001}
	var all []*process
	for _, family := range []*family{{}, elsewhere, f, {agent: f.agent}} {
		p := newProcess(sleep(), nil, family, nowhere(t), nowhere(t))
		if family.agent == f.agent && family != f {
			p.origin.run = 77 // of a plugin that is none of the family's
		}
		if err := p.start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	stray := all[3]
	if got := f.strays(); len(got) != 1 || got[0].pid != stray.pid() {
		t.Errorf("strays: %+v, want %d alone", got, stray.pid())
	}
	f.close()                                // or it reaps those that are no plugins of its own
	for _, p := range slices.Backward(all) { // the stray before the plugin that would end it
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
