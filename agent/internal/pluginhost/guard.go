package pluginhost

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// guardInterval is how often somebody looks whether root's plugins multiply. A fork bomb
// makes some hundreds of processes meanwhile.
const guardInterval = 50 * time.Millisecond

// guard kills the process and its group when there are more processes and threads in its
// session than it may have, until it has ended. It stands in for RLIMIT_NPROC, to which the
// kernel does not hold root. While the machine as a whole has no more tasks than before, it
// costs one call each time.
func (p *process) guard(most uint64) {
	tick := time.NewTicker(guardInterval)
	defer tick.Stop()
	base := tasks()
	for {
		select {
		case <-p.exited:
			return
		case <-tick.C:
		}
		now := tasks()
		if now <= base+most {
			continue
		}
		own := tasksOfSession(p.pid())
		if own > most {
			p.blame(fmt.Sprintf("killed, as it had started %d processes and threads, and %d are allowed", own, most))
			p.kill()
			return
		}
		base = now - min(own, now) // the others are somebody else's
	}
}

// tasks returns how many processes and threads the machine has; see sysinfo(2).
func tasks() uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return uint64(info.Procs)
}

// tasksOfSession counts the processes and threads of a session.
func tasksOfSession(session int) (tasks uint64) {
	all, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is sound
	for _, path := range all {
		f := statOf(path)
		if len(f) <= statThreads || f[statSession] != strconv.Itoa(session) {
			continue
		}
		if n, err := strconv.ParseUint(f[statThreads], 10, 64); err == nil {
			tasks += n
		}
	}
	return tasks
}

// Where statOf has what.
const (
	statParent  = 1
	statSession = 3
	statThreads = 17
)

// statOf returns the fields of a file such as /proc/1/stat that follow the name, which may
// hold anything: see proc_pid_stat(5). There are none when the process has just ended.
func statOf(path string) []string {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	end := strings.LastIndex(string(b), ") ")
	if end < 0 {
		return nil
	}
	return strings.Fields(string(b)[end+1:])
}
