package sched

import (
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// GiveWay has the calling thread give way, and every thread and process that it starts from now on.
// The caller has locked it, see runtime.LockOSThread.
func GiveWay() { move(0, unix.SCHED_NORMAL, unix.SCHED_BATCH) }

// GiveWayAll has every thread of this process give way until restore is called, but for threads that
// somebody has given a policy of their own.
func GiveWayAll() (restore func()) {
	moveAll(unix.SCHED_NORMAL, unix.SCHED_BATCH)
	return func() { moveAll(unix.SCHED_BATCH, unix.SCHED_NORMAL) }
}

// moveAll gives all threads of one policy the other.
func moveAll(from, to int) {
	for again := true; again; { // a thread that starts others while this looks hands on what it had
		again = false
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return
		}
		for _, task := range tasks {
			id, err := strconv.Atoi(task.Name())
			again = err == nil && move(id, from, to) || again
		}
	}
}

// move gives the thread another policy, and reports whether it did. The thread keeps its nice value,
// which it would not with sched_setattr(2); and that cannot be filtered by policy, as
// RestrictRealtime= does it.
func move(thread, from, to int) bool {
	policy, _, errno := unix.Syscall(unix.SYS_SCHED_GETSCHEDULER, uintptr(thread), 0, 0)
	if errno != 0 || int(policy) != from {
		return false
	}
	var priority int32 // struct sched_param; 0 is all that these policies know
	_, _, errno = unix.Syscall(unix.SYS_SCHED_SETSCHEDULER, uintptr(thread), uintptr(to), uintptr(unsafe.Pointer(&priority)))
	return errno == 0
}
