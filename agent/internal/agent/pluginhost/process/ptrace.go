package process

import (
	"errors"

	"golang.org/x/sys/unix"
)

// canTrace reports whether a new process can be stopped before its first instruction. That takes
// ptrace(2). A seccomp filter, such as that of a container or a service manager, may answer it with
// an error or kill the caller, so under a filter it is not tried.
func canTrace() bool {
	status, err := readStatus("/proc/thread-self/status")
	return err == nil && status["Seccomp"] == "0"
}

// whileStopped waits until a process that was started with SysProcAttr.Ptrace is stopped before its
// first instruction, calls do and lets the process run. It must be called on the thread that started
// the process. A process that has died by then is left as it is.
func whileStopped(pid int, do func() error) error {
	// WNOWAIT leaves the status of a process that has died to Process.wait.
	err := uninterrupted(func() error {
		return unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
	})
	if err != nil {
		return err
	}
	doErr := do()
	err = unix.PtraceDetach(pid)
	if errors.Is(err, unix.ESRCH) { // killed meanwhile
		err = nil
	}
	return errors.Join(doErr, err)
}

// uninterrupted calls a system call again while a signal interrupts it.
func uninterrupted(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
