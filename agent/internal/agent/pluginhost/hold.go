package pluginhost

import (
	"errors"

	"golang.org/x/sys/unix"
)

// mayHold reports whether a new process can be held before its first instruction. That takes
// ptrace(2), which a seccomp filter, such as that of a container or of a service manager, may
// answer with an error or with death; where there is one it is not tried.
func mayHold() bool {
	status, err := statusOf("/proc/thread-self/status")
	return err == nil && status["Seccomp"] == "0"
}

// whileHeld waits until a process that was started with SysProcAttr.Ptrace stands before its
// first instruction, has something done to it there, and lets it go. It must be called on
// the thread that started the process. One that has died by then is left as it is.
func whileHeld(pid int, do func() error) error {
	for {
		// Without taking the news away: the death of the process is for another to see.
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
