//go:build unix

package load

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// spareFiles is how many files are open beside the connections, generously.
const spareFiles = 64

// allowFiles makes sure that so many files can be open, see getrlimit(2). The runtime has
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
	// Beyond the hard limit only a privileged user gets.
	limit.Cur = max(limit.Cur, uint64(n))
	limit.Max = max(limit.Max, limit.Cur)
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		return nil
	}
	return fmt.Errorf("the clients need %d open files, and this process may have %d; allow more with: ulimit -n %d, or run as root",
		n, allowed, n)
}
