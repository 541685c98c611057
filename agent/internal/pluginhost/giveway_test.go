package pluginhost

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// giveWay counts the threads of a process that give way to others, and all.
func giveWay(t *testing.T, pid int) (yielding, all int) {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			t.Fatal(err)
		}
		policy, _, errno := unix.Syscall(unix.SYS_SCHED_GETSCHEDULER, uintptr(id), 0, 0)
		if errno != 0 {
			continue // it has just ended
		}
		all++
		if policy == unix.SCHED_BATCH {
			yielding++
		}
	}
	return yielding, all
}

// A plugin gives way, with all its threads; the agent does not, but for the thread that lives and
// ends with the plugin.
func TestPluginsGiveWay(t *testing.T) {
	h, _ := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "echo"})
	passes(t, set.Groups()[0], 1)
	if n, all := giveWay(t, set.Status()[0].PID); n != all || n == 0 {
		t.Errorf("%d of %d threads of the plugin give way", n, all)
	}
	eventually(t, "one thread of the agent gives way", func() bool { // those of earlier plugins are ending
		n, _ := giveWay(t, os.Getpid())
		return n == 1
	})
}
