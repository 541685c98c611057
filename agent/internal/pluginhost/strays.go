package pluginhost

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// strayTime bounds how long what a plugin left behind is looked for. Each round finds all
// that is there; only something that multiplies meanwhile takes more than a few.
const strayTime = time.Second

// buryPause is how long a stray that has ended waits at most to be reaped, and how often
// somebody looks for such at most.
const buryPause = 100 * time.Millisecond

// A family knows which children of the agent's process are plugins. Every plugin begins a
// session of its own, see setsid(2), and is killed with its process group. What it started
// and that has left the group, a daemon for one, becomes a child of the agent when the
// plugin ends, and is known by being in a session that is not the agent's, and no plugin.
type family struct {
	adopts  bool
	mu      sync.RWMutex // for writing: nobody is being born
	members sync.Map     // the process ids of living plugins
	sweeps  sync.WaitGroup
	gate    sync.Mutex     // for over, and for sweeps that begin
	over    bool           // nobody waits for a sweep any more
	died    chan os.Signal // a child has ended
	closing chan struct{}  // nobody is to wait for that any more
	buried  chan struct{}  // and nobody does
}

// newFamily has the kernel give orphans to the agent's process, see
// PR_SET_CHILD_SUBREAPER in prctl(2), if it is to adopt them.
func newFamily(adopts bool) *family {
	if adopts {
		adopts = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == nil
	}
	f := &family{adopts: adopts, died: make(chan os.Signal, 1),
		closing: make(chan struct{}), buried: make(chan struct{})}
	if adopts {
		signal.Notify(f.died, unix.SIGCHLD)
		go f.bury()
	}
	return f
}

// sweep looks for strays in the way of the work, on a thread that is not confined.
func (f *family) sweep(work func()) {
	f.gate.Lock()
	defer f.gate.Unlock()
	if f.over { // the process took longer to end than anybody waits for it
		go work()
		return
	}
	f.sweeps.Go(work)
}

// close returns when nobody looks for strays any more, but for those of a process that is still to
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

// bury reaps what plugins have left behind and has ended by itself while they live: a plugin
// may start a command in the background at every step. It counts as the plugin's until then.
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
		for _, pid := range f.strays() {
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) // it may live, or be reaped by now
		}
	}
}

// endStrays kills and reaps what has been left behind by plugins that have ended.
func (f *family) endStrays() {
	if !f.adopts {
		return
	}
	deadline := time.Now().Add(strayTime)
	for strays := f.abandoned(); len(strays) > 0; strays = f.abandoned() {
		for _, pid := range strays { // all that are found, however late: there may be no further look
			_ = unix.Kill(pid, unix.SIGKILL) // gone already is as good
		}
		for _, pid := range strays {
			reap(pid, deadline)
		}
		if !time.Now().Before(deadline) {
			return
		}
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

// abandoned returns the strays whose plugin has ended, as far as that can be told. What a living one
// runs in the background ends with it.
func (f *family) abandoned() []int { return slices.DeleteFunc(f.strays(), f.isOfLiving) }

// isOfLiving reports whether a stray is in the session of a plugin that lives, or has the directory of
// its socket in the environment. A plugin that ends meanwhile looks for strays after that.
func (f *family) isOfLiving(stray int) bool {
	path := filepath.Join("/proc", strconv.Itoa(stray))
	fields := statOf(filepath.Join(path, "stat"))
	if len(fields) <= statSession {
		return false // it is gone
	}
	found := false
	f.members.Range(func(pid, plugin any) bool {
		found = fields[statSession] == strconv.Itoa(pid.(int)) || environHas(path, plugin.(*process).mark())
		return !found
	})
	return found
}

// strays returns the children of this process that no plugin is.
func (f *family) strays() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	session, err := unix.Getsid(0)
	if err != nil {
		return nil
	}
	all, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is sound
	var strays []int
	for _, path := range all {
		fields := statOf(path)
		if len(fields) <= statSession || fields[statParent] != strconv.Itoa(os.Getpid()) ||
			fields[statSession] == strconv.Itoa(session) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if _, known := f.members.Load(pid); err == nil && !known {
			strays = append(strays, pid)
		}
	}
	return strays
}
