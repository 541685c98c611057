//go:build unix

package server

import "golang.org/x/sys/unix"

// openFiles returns how many files the process may have open, see getrlimit(2); 0 when that is not
// known. The runtime has raised the soft limit to the hard one.
func openFiles() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return limit.Cur
}
