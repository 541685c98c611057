package pluginhost

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// An origin says which agent's plugin a process comes from, and which run of it. A plugin gets it with
// its limits, as RLIMIT_LOCKS, and hands it down to whatever it starts: the kernel has made nothing of
// that limit since Linux 2.4.25, see setrlimit(2), and a process that leaves its session, loses its
// parents and empties its environment keeps it. The agent is the hard limit and the run the soft one.
// The zero origin is that of no plugin.
type origin struct{ agent, run uint64 }

const (
	// minAgentNumber and maxAgentNumber bound the numbers of agents. A larger one is no limit to a
	// kernel of 32 bits.
	minAgentNumber, maxAgentNumber = 1 << 31, 1<<32 - 2
	// maxRuns is the number of runs that are told apart at a time; below every agent's number, as a
	// soft limit must be.
	maxRuns = 1<<31 - 1
)

// mark gives a process its origin. Where that is not possible, as in some sandboxes, what comes from
// the plugin is known by its environment alone.
func (o origin) mark(pid int) {
	if o != (origin{}) {
		_ = unix.Prlimit(pid, unix.RLIMIT_LOCKS, &unix.Rlimit{Cur: o.run, Max: o.agent}, nil)
	}
}

// originOf returns the origin of a process; zero when it has none, is gone, or may not be looked at.
func originOf(pid int) origin {
	var l unix.Rlimit
	if unix.Prlimit(pid, unix.RLIMIT_LOCKS, nil, &l) != nil || l.Max < minAgentNumber || l.Max > maxAgentNumber {
		return origin{}
	}
	return origin{l.Max, l.Cur}
}

// agentNumber is the number in the name of an agent's directory, by which its plugins are marked; 0
// where there is none.
func agentNumber(dir string) uint64 {
	n, err := strconv.ParseUint(strings.TrimPrefix(filepath.Base(dir), agentPrefix), 10, 64)
	if err != nil || n < minAgentNumber || n > maxAgentNumber {
		return 0
	}
	return n
}

// A suspect is a process that was found in a look at all of them.
type suspect struct {
	pid     int
	name    string // of what it executes, as the kernel has it
	started string // in ticks since the boot; another process with the same id has another
	parent  int
	dead    bool // and is not reaped
	fields  []string
}

// suspects looks at all processes.
func suspects() (all []suspect) {
	paths, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is sound
	for _, path := range paths {
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			if s, ok := suspectOf(pid); ok {
				all = append(all, s)
			}
		}
	}
	return all
}

// suspectOf looks at one process; there is none when it has just ended.
func suspectOf(pid int) (suspect, bool) {
	// The name may hold anything: see proc_pid_stat(5).
	b, err := os.ReadFile(procPath(pid, "stat"))
	text := string(b)
	begin, end := strings.Index(text, "("), strings.LastIndex(text, ") ")
	if err != nil || begin < 0 || end < begin {
		return suspect{}, false
	}
	s := suspect{pid: pid, name: text[begin+1 : end], fields: strings.Fields(text[end+1:])}
	if len(s.fields) <= statStarted {
		return suspect{}, false
	}
	s.dead = s.fields[statState] == "Z" || s.fields[statState] == "X"
	s.started = s.fields[statStarted]
	s.parent, _ = strconv.Atoi(s.fields[statParent])
	return s, true
}

// Where fields has what.
const (
	statState   = 0
	statParent  = 1
	statSession = 3
	statThreads = 17
	statStarted = 19
)

func procPath(pid int, file string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), file)
}

// kill kills the process, and no other one that has got its id since. It reports whether it did.
func (s suspect) kill() bool {
	same := func() bool {
		now, ok := suspectOf(s.pid)
		return ok && now.started == s.started
	}
	fd, err := unix.PidfdOpen(s.pid, 0)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // before Linux 5.3, or a filter
		return same() && unix.Kill(s.pid, unix.SIGKILL) == nil
	}
	if err != nil {
		return false // it is gone
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	return same() && unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil
}
