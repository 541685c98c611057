package pluginhost

import (
	"bufio"
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
	// has at its start. RLIMIT_NPROC counts all of a user's, those of the agent and of
	// strangers among them, and the kernel does not hold root to it.
	Processes uint64
	// OpenFiles is how many files the process may have open.
	OpenFiles uint64
}

// A rlimit is one limit in the kernel's terms.
type rlimit struct {
	resource int
	most     uint64
}

// rlimits returns the limits of a process that is about to start. A plugin that crashes
// leaves no core file: it could fill a small disk within minutes.
func (l Limits) rlimits() []rlimit {
	all := []rlimit{{unix.RLIMIT_CORE, 0}}
	if l.MemoryBytes > 0 {
		all = append(all, rlimit{unix.RLIMIT_DATA, l.MemoryBytes})
	}
	if l.OpenFiles > 0 {
		all = append(all, rlimit{unix.RLIMIT_NOFILE, l.OpenFiles})
	}
	if uid := os.Geteuid(); l.Processes > 0 && uid != 0 {
		if n, err := tasksOf(uid); err == nil {
			all = append(all, rlimit{unix.RLIMIT_NPROC, n + l.Processes})
		}
	}
	return all
}

// limit sets the limits of a process, none above what it has inherited.
func limit(pid int, limits []rlimit) error {
	for _, l := range limits {
		var had unix.Rlimit
		if err := unix.Prlimit(pid, l.resource, nil, &had); err != nil {
			return fmt.Errorf("the limits of process %d: %w", pid, err)
		}
		most := min(l.most, had.Max)
		if err := unix.Prlimit(pid, l.resource, &unix.Rlimit{Cur: most, Max: most}, nil); err != nil {
			return fmt.Errorf("the limits of process %d: %w", pid, err)
		}
	}
	return nil
}

// tasksOf counts the processes and threads of a user, as proc_pid_status(5) tells of them.
func tasksOf(uid int) (tasks uint64, err error) {
	all, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		return 0, err
	}
	for _, path := range all {
		status, err := statusOf(path)
		if err != nil {
			continue // it has just ended
		}
		owner, _, _ := strings.Cut(status["Uid"], "\t")
		if owner != strconv.Itoa(uid) {
			continue
		}
		if n, err := strconv.ParseUint(status["Threads"], 10, 64); err == nil {
			tasks += n
		}
	}
	return tasks, nil
}

// statusOf returns the fields of a file such as /proc/self/status.
func statusOf(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read only
	fields := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok {
			fields[key] = strings.TrimSpace(value)
		}
	}
	return fields, lines.Err()
}
