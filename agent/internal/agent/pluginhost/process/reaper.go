package process

import (
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// reapPause is how long a child that has ended waits to be reaped, and the least time between two
// scans for such children.
const reapPause = 100 * time.Millisecond

// A Reaper kills what plugins leave behind and reaps the children of the agent's process. A daemon
// that a plugin started becomes a child of the agent when its parents end, and is known by its origin.
// Other children, such as those that the first process of a container gets, are only reaped.
type Reaper struct {
	adopts   bool
	agent    uint64 // the number of the agent, which marks its plugins; 0 for none
	dir      string // of the agent's sockets, which the plugins' environment names; empty for none
	log      *slog.Logger
	runs     atomic.Uint64  // plugins started so far
	starting sync.RWMutex   // read-locked while a plugin is started or reaped
	plugins  sync.Map       // *Process by process id, while it runs
	ended    chan os.Signal // a child has ended
	closing  chan struct{}  // closed to end reap
	reaped   chan struct{}  // closed when reap has returned
	sweeps   sync.WaitGroup

	// mu guards closed, and orders it with the start of a sweep.
	mu     sync.Mutex
	closed bool
}

// NewReaper returns a reaper for the plugins of the agent whose sockets are below dir. With adopt the
// kernel gives it orphans, see PR_SET_CHILD_SUBREAPER in prctl(2), and it reaps every child.
func NewReaper(adopt bool, dir string, log *slog.Logger) *Reaper {
	r := &Reaper{agent: agentNumber(dir), dir: dir, log: log, ended: make(chan os.Signal, 1),
		closing: make(chan struct{}), reaped: make(chan struct{})}
	r.adopts = adopt && unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == nil
	if r.adopts {
		signal.Notify(r.ended, unix.SIGCHLD)
		r.ended <- unix.SIGCHLD // for children that ended before
		go r.reap()
	}
	return r
}

// nextOrigin returns the origin of the next plugin.
func (r *Reaper) nextOrigin() origin {
	if r.agent == 0 {
		return origin{}
	}
	return origin{r.agent, r.runs.Add(1) % maxRuns}
}

// sweep runs work, which kills processes, on a thread that is not confined.
func (r *Reaper) sweep(work func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed { // the process took longer to end than Process.Close waits
		go work()
		return
	}
	r.sweeps.Go(work)
}

// Close waits for the sweeps that run. A process that ends later is still swept.
func (r *Reaper) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.sweeps.Wait()
	if r.adopts {
		signal.Stop(r.ended)
		close(r.closing)
		<-r.reaped
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) // cannot fail where 1 did not
	}
}

// reap reaps the children that have ended and are no plugins, until Close: a plugin may start a
// command in the background at every step.
func (r *Reaper) reap() {
	defer close(r.reaped)
	for {
		select {
		case <-r.ended:
		case <-r.closing:
			return
		}
		select {
		case <-time.After(reapPause):
		case <-r.closing:
			return
		}
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err != nil || info.Signo == 0 {
			continue // it was a plugin, and is reaped
		}
		r.reapDead()
	}
}

// reapDead reaps the children that have ended and are no plugins.
func (r *Reaper) reapDead() {
	for _, child := range r.otherChildren() {
		if child.dead {
			_, _ = unix.Wait4(child.pid, nil, unix.WNOHANG, nil) // it may be reaped by now
		}
	}
}

// otherChildren returns the children of this process that are no plugins.
func (r *Reaper) otherChildren() (children []procStat) {
	r.starting.Lock()
	defer r.starting.Unlock()
	for _, s := range procStats() {
		if _, isPlugin := r.plugins.Load(s.pid); s.parent == os.Getpid() && !isPlugin {
			children = append(children, s)
		}
	}
	return children
}
