package process

import (
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// An origin says which agent's plugin a process comes from, and which run of that plugin. It is set
// with the limits, as RLIMIT_LOCKS, which the kernel has ignored since Linux 2.4.25 (setrlimit(2)).
// Everything that the plugin starts inherits it, also a process that leaves the session, loses its
// parents and empties its environment. The hard limit is the agent, the soft one the run. The zero
// origin is that of no plugin.
type origin struct{ agent, run uint64 }

const (
	// minAgentNumber and maxAgentNumber bound the numbers of agents: a larger one means no limit
	// to a 32-bit kernel.
	minAgentNumber, maxAgentNumber = 1 << 31, 1<<32 - 2
	// maxRuns is how many runs have different numbers. A run's number is below every agent's, as a
	// soft limit must be.
	maxRuns = 1<<31 - 1
)

// mark gives a process its origin. Where that fails, as in some sandboxes, what the plugin starts is
// known by its environment alone.
func (o origin) mark(pid int) {
	if o != (origin{}) {
		_ = unix.Prlimit(pid, unix.RLIMIT_LOCKS, &unix.Rlimit{Cur: o.run, Max: o.agent}, nil)
	}
}

// originOf returns the origin of a process; zero when it has none, is gone, or cannot be read.
func originOf(pid int) origin {
	var l unix.Rlimit
	if unix.Prlimit(pid, unix.RLIMIT_LOCKS, nil, &l) != nil || l.Max < minAgentNumber || l.Max > maxAgentNumber {
		return origin{}
	}
	return origin{l.Max, l.Cur}
}

// agentNumber returns the number in the name of an agent's directory; 0 when it has none.
func agentNumber(dir string) uint64 {
	n, err := strconv.ParseUint(strings.TrimPrefix(filepath.Base(dir), agentPrefix), 10, 64)
	if err != nil || n < minAgentNumber || n > maxAgentNumber {
		return 0
	}
	return n
}
