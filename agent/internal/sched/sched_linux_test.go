package sched_test

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/sched"
)

// gone, in the place of a policy, is that of a thread that has ended.
const gone = -1

// policy returns the policy of a thread, or of a process by its first thread.
func policy(t *testing.T, id int) int {
	t.Helper()
	policy, _, errno := unix.Syscall(unix.SYS_SCHED_GETSCHEDULER, uintptr(id), 0, 0)
	if errno != 0 {
		if errno != unix.ESRCH {
			t.Error(errno)
		}
		return gone
	}
	return int(policy)
}

// policies counts the threads of this process by their policies.
func policies(t *testing.T) map[int]int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Error(err)
	}
	all := map[int]int{}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			t.Error(err)
		}
		all[policy(t, id)]++
	}
	return all
}

// A thread that gives way has its children do so, and nobody else.
func TestGiveWay(t *testing.T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with this goroutine
		sched.GiveWay()
		child := exec.Command("cat")
		hold, err := child.StdinPipe()
		if err != nil {
			t.Error(err)
			return
		}
		if err := child.Start(); err != nil {
			t.Error(err)
			return
		}
		if got := policy(t, child.Process.Pid); got != unix.SCHED_BATCH {
			t.Errorf("the child's policy is %d, want %d", got, unix.SCHED_BATCH)
		}
		if got := policies(t); got[unix.SCHED_BATCH] != 1 {
			t.Errorf("threads by policy: %v, want one with %d", got, unix.SCHED_BATCH)
		}
		if err := hold.Close(); err != nil {
			t.Error(err)
		}
		if err := child.Wait(); err != nil {
			t.Error(err)
		}
	}()
	<-done
}

// All threads of a process give way, those that it starts meanwhile too, and no longer than they
// are to; a thread that is idle anyway stays so.
func TestGiveWayAll(t *testing.T) {
	idle := inThread(t, func() {
		var priority int32
		if _, _, errno := unix.Syscall(unix.SYS_SCHED_SETSCHEDULER, 0, unix.SCHED_IDLE, uintptr(unsafe.Pointer(&priority))); errno != 0 {
			t.Error(errno)
		}
	})
	defer idle()
	restore := sched.GiveWayAll()
	for range 4 {
		defer inThread(t, func() {})()
	}
	if got := policies(t); got[unix.SCHED_NORMAL] != 0 || got[unix.SCHED_BATCH] < 4 || got[unix.SCHED_IDLE] != 1 {
		t.Errorf("threads by policy: %v, want one with %d and all others with %d", got, unix.SCHED_IDLE, unix.SCHED_BATCH)
	}
	restore()
	if got := policies(t); got[unix.SCHED_BATCH] != 0 || got[unix.SCHED_NORMAL] < 4 || got[unix.SCHED_IDLE] != 1 {
		t.Errorf("afterwards: %v, want one with %d and all others with %d", got, unix.SCHED_IDLE, unix.SCHED_NORMAL)
	}
}

// inThread calls do in a thread of its own, which stays until it is told to end.
func inThread(t *testing.T, do func()) (end func()) {
	t.Helper()
	began, ending, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // for good
		do()
		close(began)
		<-ending
	}()
	<-began
	return func() {
		close(ending)
		<-ended
	}
}
