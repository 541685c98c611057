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
	for {
		// WNOWAIT leaves the status of a process that has died to Process.wait.
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		break
	}
	doErr := do()
	err := unix.PtraceDetach(pid)
	if errors.Is(err, unix.ESRCH) { // killed meanwhile
		err = nil
	}
	return errors.Join(doErr, err)
}
