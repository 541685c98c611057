package process

import (
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// taskCountInterval is how often the number of tasks of the machine is read. A fork bomb starts
	// some hundreds of processes meanwhile.
	taskCountInterval = 50 * time.Millisecond
	// taskScanInterval is the longest time between two scans of /proc.
	taskScanInterval = 5 * time.Second
	// After a scan that found nothing, the next one waits this many times the CPU time that the scan
	// took: less where the number of tasks has grown.
	scanRestGrown, scanRestSame = 10, 100
	// execTime is how long a process that is being executed may have no environment.
	execTime = 20 * time.Millisecond
)

// watchTaskCount enforces the process limit when the agent runs as root, which the kernel does not
// hold to RLIMIT_NPROC. It kills the process and all that it has started when these are more than
// most processes and threads, and returns when the process has ended. While the machine has no more
// tasks than before, a tick costs one system call.
func (p *Process) watchTaskCount(most uint64) {
	tick := time.NewTicker(taskCountInterval)
	defer tick.Stop()
	var others uint64              // tasks that are not the plugin's, at least
	var earliest, latest time.Time // of the next scan
	for {
		select {
		case <-p.exited:
			return
		case <-tick.C:
		}
		all, now := machineTasks(), time.Now()
		others = min(others, all) // tasks that ended elsewhere are not the plugin's to use
		if all <= others+most && now.Before(latest) || now.Before(earliest) {
			continue
		}
		var own descendants
		took := cpuTime(func() { own = p.descendants() })
		if own.tasks > most {
			p.killFor("killed, as it had started %d processes and threads, and %d are allowed", own.tasks, most)
			p.config.Reaper.sweep(func() { p.killDescendants(own) })
			return
		}
		others = all - min(own.tasks, all)
		now = time.Now()
		earliest, latest = now.Add(scanRestGrown*took), now.Add(max(scanRestSame*took, taskScanInterval))
	}
}

// cpuTime returns how much CPU time the work takes, which does not depend on the load of the machine.
func cpuTime(work func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	used := func() time.Duration {
		var u unix.Rusage
		_ = unix.Getrusage(unix.RUSAGE_THREAD, &u) // cannot fail, getrusage(2)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	work()
	return used() - before
}

// killDescendants kills what the process has started, and what that starts meanwhile, until two scans
// find nothing or the scans have taken sweepTime of CPU time. One is not enough: what has no origin is
// known by its environment, which it does not have while it is being executed.
func (p *Process) killDescendants(own descendants) {
	spent, empty := time.Duration(0), 0
	for {
		for _, s := range own.alive {
			s.kill()
		}
		if len(own.alive) > 0 {
			empty = 0
		} else if empty++; empty == 1 {
			time.Sleep(execTime)
		}
		if empty == 2 || spent >= sweepTime {
			return
		}
		spent += cpuTime(func() { own = p.descendants() })
	}
}

// descendants are a process and everything that it has started, as far as that can be found.
type descendants struct {
	alive []procStat
	tasks uint64 // processes and threads, those that are not reaped among them
}

// descendants finds the processes that have the origin, the session or the socket directory of p, or
// p among their parents: a daemon leaves the session and loses its parent.
func (p *Process) descendants() (all descendants) {
	stats := procStats()
	related := make([]bool, len(stats))
	own, dir := p.PID(), p.socketDir()
	for i, s := range stats {
		related[i] = s.pid == own || s.session == own || p.origin != (origin{}) && originOf(s.pid) == p.origin ||
			dir != "" && slices.Contains(socketDirsOf(s.pid), dir)
	}
	for i, s := range stats {
		up, known := i, true
		// Bounded, as an id that is reused during the scan can close a circle of parents.
		for range stats {
			if !known || related[up] {
				break
			}
			up, known = slices.BinarySearchFunc(stats, stats[up].parent, procStat.compare)
		}
		if !known || !related[up] {
			continue
		}
		all.tasks += s.threads
		if !s.dead {
			all.alive = append(all.alive, s)
		}
	}
	return all
}

// machineTasks returns how many processes and threads the machine has; see sysinfo(2).
func machineTasks() uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return uint64(info.Procs)
}
