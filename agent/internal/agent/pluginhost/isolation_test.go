package pluginhost

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/plugins/validator"
)

// meddle tries to get at the agent, and at the process whose id is the step's, and passes
// with what it could do as its state.
func meddle(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
	if isProbe(step) {
		return validator.PassWith(nil), nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var could []string
	for who, pid := range map[string]int{"agent": os.Getppid(), "other": int(step.ID)} {
		if unix.Kill(pid, 0) == nil {
			could = append(could, "signal the "+who)
		}
		if unix.PtraceSeize(pid) == nil {
			could = append(could, "trace the "+who)
			_ = unix.PtraceDetach(pid)
		}
		if f, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0); err == nil {
			_ = f.Close()
			could = append(could, "write into the "+who)
		}
	}
	if err := unix.Kill(os.Getpid(), 0); err != nil {
		could = append(could, fmt.Sprintf("not even signal itself: %v", err))
	}
	return validator.PassWith([]byte(strings.Join(could, ", "))), nil
}

// Where the kernel has Landlock with scopes, a plugin can neither trace nor signal the agent
// and its fellows. Elsewhere nothing keeps it from it but the user it runs as.
func TestP17PluginMeddlesWithOthers(t *testing.T) {
	h, log := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "meddle"},
		Spec{Name: "b", Validator: "counter", Path: self(t), Args: []string{"plugin", "good"}})
	version, _, _ := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	able := int(version) >= 6 // the first with scopes; -1 where there is no Landlock
	if confined := strings.Count(log.String(), "confined=true"); (confined == 2) != able {
		t.Errorf("%d of 2 processes are confined, and it is possible: %v", confined, able)
	}
	could := string(within(t, patience, set.Groups()[0], int64(set.Status()[1].PID))[0].Verdict.State)
	t.Logf("confining: %v; the plugin could: %q", able, could)
	if able && could != "" {
		t.Errorf("the plugin could %s", could)
	}
	passes(t, set.Groups()[1], 1)
}

// A plugin that is confined is ended as any other, with what it has started.
func TestP17ConfinedPluginsAreEnded(t *testing.T) {
	h, _ := newTestHost(t, func(o *Options) { o.Adopt = true })
	var sets []*Set
	for range 2 {
		sets = append(sets, startSet(t, h, Spec{Name: "a", Validator: "echo", Path: self(t), Args: []string{"plugin", "daemon"}}))
	}
	eventually(t, "the daemons run", func() bool { return grandchildren() == len(sets) })
	if err := syscall.Kill(sets[0].Status()[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, set := range sets {
		set.Close(t.Context())
	}
	eventually(t, "nothing is left", func() bool { return grandchildren() == 0 && len(children()) == 0 })
}
