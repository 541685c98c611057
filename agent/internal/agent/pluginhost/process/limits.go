package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Limits bound what one plugin process may take of the machine, see setrlimit(2). Everything
// it starts inherits them, each process for itself. 0 is no limit.
type Limits struct {
	// MemoryBytes is how much memory the process may allocate: its writable private pages,
	// as RLIMIT_DATA counts them. Address space that is only reserved, as Go does freely,
	// does not count.
	MemoryBytes uint64
	// Processes is how many processes and threads the plugin may add to those that its user
	// has at its start. RLIMIT_NPROC counts all processes of the user, also those of the agent and
	// of other programs. Root is not bound by it: see watchTaskCount.
	Processes uint64
	// OpenFiles is how many files the process may have open.
	OpenFiles uint64
}

// An rlimit is one limit in the kernel's terms.
type rlimit struct {
	resource int
	most     uint64
}

// rlimits returns the limits of a process that is about to start. A core file is never written: a
// plugin that crashes again and again could fill a small disk within minutes.
func (l Limits) rlimits() []rlimit {
	all := []rlimit{{unix.RLIMIT_CORE, 0}}
	if l.MemoryBytes > 0 {
		all = append(all, rlimit{unix.RLIMIT_DATA, l.MemoryBytes})
	}
	if l.OpenFiles > 0 {
		all = append(all, rlimit{unix.RLIMIT_NOFILE, l.OpenFiles})
	}
	if uid := os.Geteuid(); l.Processes > 0 && uid != 0 {
		all = append(all, rlimit{unix.RLIMIT_NPROC, tasksOf(uid) + l.Processes})
	}
	return all
}

// setLimits sets the limits of a process, none above the inherited one.
func setLimits(pid int, limits []rlimit) error {
	for _, l := range limits {
		var inherited unix.Rlimit
		err := unix.Prlimit(pid, l.resource, nil, &inherited)
		if err == nil {
			most := min(l.most, inherited.Max)
			err = unix.Prlimit(pid, l.resource, &unix.Rlimit{Cur: most, Max: most}, nil)
		}
		if err != nil {
			return fmt.Errorf("the limits of process %d: %w", pid, err)
		}
	}
	return nil
}

// tasksOf counts the processes and threads of a user, by proc_pid_status(5).
func tasksOf(uid int) (tasks uint64) {
	paths, _ := filepath.Glob("/proc/[0-9]*/status") // the pattern is valid
	for _, path := range paths {
		status, err := readStatus(path)
		if err != nil {
			continue // it has just ended
		}
		if owner, _, _ := strings.Cut(status["Uid"], "\t"); owner == strconv.Itoa(uid) {
			threads, _ := strconv.ParseUint(status["Threads"], 10, 64) // the kernel writes a number
			tasks += threads
		}
	}
	return tasks
}

// readStatus returns the fields of a file such as /proc/self/status.
func readStatus(path string) (map[string]string, error) {
	b, err := os.ReadFile(path)
	fields := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			fields[key] = strings.TrimSpace(value)
		}
	}
	return fields, err
}
