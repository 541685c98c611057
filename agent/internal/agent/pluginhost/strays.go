package pluginhost

import (
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// strayTime bounds how long what a plugin left behind is looked for. Each round finds all
// that is there; only something that multiplies meanwhile takes more than a few.
const strayTime = time.Second

// buryPause is how long a child that has ended waits at most to be reaped, and how often
// the agent looks for such at most.
const buryPause = 100 * time.Millisecond

// maxKillLines is how many killed processes one look logs each with a line of its own.
const maxKillLines = 20

// A family knows which children of the agent's process are plugins. What a plugin started and has
// left its process group, a daemon for one, becomes a child of the agent when its parents end, and is
// known by its origin. Other children, such as those of a shell that has become the agent, or what the
// kernel gives to the first process of a container, are reaped and otherwise left alone.
type family struct {
	adopts  bool
	agent   uint64 // the number of the agent, by which its plugins are marked; 0 for none
	dir     string // of the sockets of its plugins, which their environment names; empty for none
	log     *slog.Logger
	runs    atomic.Uint64 // how many plugins have been started
	mu      sync.RWMutex  // for writing: no process is being started
	members sync.Map      // the process ids of living plugins
	sweeps  sync.WaitGroup
	gate    sync.Mutex     // for over, and for sweeps that begin
	over    bool           // no caller waits for a sweep any more
	died    chan os.Signal // a child has ended
	closing chan struct{}  // closed to end the reaper
	buried  chan struct{}  // closed when it has ended
}

// newFamily has the kernel give orphans to the agent's process, see
// PR_SET_CHILD_SUBREAPER in prctl(2), if it is to adopt them. Dir is that of the agent's sockets.
func newFamily(adopts bool, dir string, log *slog.Logger) *family {
	if adopts {
		adopts = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == nil
	}
	f := &family{adopts: adopts, agent: agentNumber(dir), dir: dir, log: log, died: make(chan os.Signal, 1),
		closing: make(chan struct{}), buried: make(chan struct{})}
	if adopts {
		signal.Notify(f.died, unix.SIGCHLD)
		f.died <- unix.SIGCHLD // for what has ended before
		go f.bury()
	}
	return f
}

// nextOrigin returns the origin of the next plugin.
func (f *family) nextOrigin() origin {
	if f.agent == 0 {
		return origin{}
	}
	return origin{f.agent, f.runs.Add(1) % maxRuns}
}

// sweep looks for strays in the way of the work, on a thread that is not confined.
func (f *family) sweep(work func()) {
	f.gate.Lock()
	defer f.gate.Unlock()
	if f.over { // the process took longer to end than its stop waits for it
		go work()
		return
	}
	f.sweeps.Go(work)
}

// close returns when no sweep is under way any more, but for those of a process that is still to
// end.
func (f *family) close() {
	f.gate.Lock()
	f.over = true
	f.gate.Unlock()
	f.sweeps.Wait()
	if f.adopts {
		signal.Stop(f.died)
		close(f.closing)
		<-f.buried
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) // cannot fail where 1 did not
	}
}

// bury reaps the children that have ended and are no plugins: what plugins have left behind, as one
// may start a command in the background at every step, and what came to the agent from elsewhere.
func (f *family) bury() {
	defer close(f.buried)
	for {
		select {
		case <-f.died:
		case <-f.closing:
			return
		}
		select {
		case <-time.After(buryPause):
		case <-f.closing:
			return
		}
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err != nil || info.Signo == 0 {
			continue // it was a plugin, and is reaped
		}
		f.reapDead()
	}
}

// reapDead reaps the children that have ended and are no plugins.
func (f *family) reapDead() {
	for _, child := range f.others() {
		if child.dead {
			_, _ = unix.Wait4(child.pid, nil, unix.WNOHANG, nil) // it may be reaped by now
		}
	}
}

// endStrays kills and reaps what has been left behind by plugins that have ended. The last of these is
// named in the log.
func (f *family) endStrays(last *process) {
	if !f.adopts {
		return
	}
	lines := &killLines{log: f.log.With("plugin", last.label)}
	defer lines.end()
	defer f.reapDead() // what was killed with the group of the plugin
	deadline := time.Now().Add(strayTime)
	for strays := f.strays(); len(strays) > 0; strays = f.strays() {
		for _, s := range strays { // all that are found, however late: there may be no further look
			if s.kill() {
				lines.add(s)
			}
		}
		for _, s := range strays {
			reap(s.pid, deadline)
		}
		if !time.Now().Before(deadline) {
			return
		}
	}
}

// killLines tells the log of processes that were killed, each by name up to a bound.
type killLines struct {
	log *slog.Logger
	n   int
}

func (k *killLines) add(s suspect) {
	if k.n++; k.n <= maxKillLines {
		k.log.Warn("killed a process that a plugin left behind", "pid", s.pid, "name", printable([]byte(s.name)))
	}
}

func (k *killLines) end() {
	if k.n > maxKillLines {
		k.log.Warn("killed further processes that a plugin left behind", "further", k.n-maxKillLines)
	}
}

// reap waits for a child that has been killed, which takes the kernel a moment.
func reap(pid int, deadline time.Time) {
	for time.Now().Before(deadline) {
		if got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); got == pid || err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// strays returns the children of this process that come from a plugin of it which has ended, as far as
// that is known. What a living plugin runs in the background ends with it.
func (f *family) strays() (strays []suspect) {
	for _, child := range f.others() {
		if !child.dead && f.isLeft(child.pid) {
			strays = append(strays, child)
		}
	}
	return strays
}

// isLeft reports whether a process comes from a plugin of this agent, and that one has ended. A plugin
// that ends meanwhile looks for strays after that.
func (f *family) isLeft(pid int) bool {
	from := originOf(pid)
	marked := f.agent != 0 && from.agent == f.agent
	living := false
	f.members.Range(func(_, member any) bool {
		p := member.(*process)
		living = marked && p.origin == from || environHas(pid, p.mark())
		return !living
	})
	return !living && (marked || environNames(pid, f.dir))
}

// others returns the children of this process that are no plugins.
func (f *family) others() (children []suspect) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range suspects() {
		if _, known := f.members.Load(s.pid); s.parent == os.Getpid() && !known {
			children = append(children, s)
		}
	}
	return children
}
