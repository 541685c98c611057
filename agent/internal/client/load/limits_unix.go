//go:build unix

package load

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// dialProblem says why a connection failed and, for limits of this machine, what to do.
func dialProblem(err error) string {
	switch {
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Sprintf("%v: this machine has no free port left for a connection to that address; use fewer clients, or widen net.ipv4.ip_local_port_range", err)
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return fmt.Sprintf("%v: too many files are open on this machine; use fewer clients", err)
	default:
		return err.Error()
	}
}

// allowFiles raises the limit of open files to n if necessary, see getrlimit(2). The Go runtime has
// raised the soft limit to the hard one already.
func allowFiles(n int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("cannot read the limit of open files: %w", err)
	}
	if uint64(n) <= limit.Cur {
		return nil
	}
	allowed := limit.Cur
	limit.Cur = uint64(n)
	limit.Max = max(limit.Max, limit.Cur) // needs a privileged user
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		return nil
	}
	return fmt.Errorf("the clients need %d open files, and this process may have %d; allow more with: ulimit -n %d, or run as root",
		n, allowed, n)
}
