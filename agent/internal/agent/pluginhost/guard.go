package pluginhost

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// guardInterval is how often somebody looks whether root's plugins multiply. A fork bomb
	// makes some hundreds of processes meanwhile.
	guardInterval = 50 * time.Millisecond
	// guardTime is how long looks at the number of tasks of the machine do for one at each.
	guardTime = 5 * time.Second
	// How many times the CPU time of a look at each task that has found nothing the next one waits at
	// least, where the number has grown meanwhile and where it has not.
	guardBusy, guardCalm = 10, 100
)

// guard kills the process and all that it has started when these are more processes and threads
// than it may have, until it has ended. It stands in for RLIMIT_NPROC, to which the kernel does
// not hold root. While the machine as a whole has no more tasks than before, it costs one call
// each time.
func (p *process) guard(most uint64) {
	tick := time.NewTicker(guardInterval)
	defer tick.Stop()
	var others uint64 // so many tasks are somebody else's, or more
	var again, due time.Time
	for {
		select {
		case <-p.exited:
			return
		case <-tick.C:
		}
		all, now := tasks(), time.Now()
		others = min(others, all) // or what they give up would be the plugin's to have
		if all <= others+most && now.Before(due) || now.Before(again) {
			continue
		}
		var own offspring
		took := cpuTime(func() { own = p.offspring() })
		if own.tasks > most {
			p.blame(fmt.Sprintf("killed, as it had started %d processes and threads, and %d are allowed", own.tasks, most))
			p.kill()
			p.family.sweep(func() { p.endOffspring(own) })
			return
		}
		others = all - min(own.tasks, all)
		now = time.Now()
		again, due = now.Add(guardBusy*took), now.Add(max(guardCalm*took, guardTime))
	}
}

// cpuTime returns how long the work keeps a processor busy. On a machine under load it takes many
// times as long.
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

// endOffspring kills what the process has started, and what that starts meanwhile, until nothing of
// it is found or looking for it has taken strayTime of a processor.
func (p *process) endOffspring(own offspring) {
	for spent := time.Duration(0); len(own.alive) > 0; {
		for _, s := range own.alive {
			s.kill()
		}
		if spent >= strayTime {
			return
		}
		spent += cpuTime(func() { own = p.offspring() })
	}
}

// An offspring is a process with everything that it has started, as far as that can be told.
type offspring struct {
	alive []suspect // without those that have ended and are not reaped
	tasks uint64    // processes and threads
}

// offspring finds who has its origin in the process, is in its session, has it among the parents, or
// has the directory of its socket in the environment: a daemon leaves the session and loses its parent.
func (p *process) offspring() (all offspring) {
	known, related := map[int]suspect{}, map[int]bool{}
	own, mark := p.pid(), p.mark()
	for _, s := range suspects() {
		known[s.pid] = s
		related[s.pid] = s.pid == own || s.fields[statSession] == strconv.Itoa(own) ||
			p.origin != (origin{}) && originOf(s.pid) == p.origin || environHas(s.pid, mark)
	}
	for pid, one := range known {
		up := pid
		// No way up is longer than there are processes, but a number that is given away again
		// while they are looked at can close a circle.
		for range known {
			if up == 0 || related[up] {
				break
			}
			up = known[up].parent
		}
		if !related[up] {
			continue
		}
		threads, _ := strconv.ParseUint(one.fields[statThreads], 10, 64) // 0 for what is no number
		all.tasks += threads
		if !one.dead {
			all.alive = append(all.alive, one)
		}
	}
	return all
}

// mark is what only this process and what it starts have in their environment; empty where
// there is no such thing.
func (p *process) mark() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, value := range p.cmd.Env {
		if strings.HasPrefix(value, socketDirVariable+"=") {
			return value + "\x00"
		}
	}
	return ""
}

// tasks returns how many processes and threads the machine has; see sysinfo(2).
func tasks() uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return uint64(info.Procs)
}
