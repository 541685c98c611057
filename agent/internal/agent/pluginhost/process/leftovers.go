package process

import (
	"errors"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

const (
	// sweepTime bounds a sweep. Each scan finds all leftovers that are there; only processes that
	// multiply meanwhile take more than a few scans.
	sweepTime = time.Second
	// maxKillLines is how many killed processes of one sweep get a log line of their own.
	maxKillLines = 20
)

// killLeftovers kills and reaps what plugins that have ended left behind. The log names the plugin
// that ended last.
func (r *Reaper) killLeftovers(label string) {
	if !r.adopts {
		return
	}
	lines := &killLog{log: r.log.With("plugin", label)}
	defer lines.finish()
	defer r.reapDead() // what was killed with the plugin's process group
	deadline := time.Now().Add(sweepTime)
	for found := r.leftovers(); len(found) > 0; found = r.leftovers() {
		for _, s := range found { // all of them, even past the deadline
			lines.kill(s)
		}
		for _, s := range found {
			reapChild(s.pid, deadline)
		}
		if !time.Now().Before(deadline) {
			return
		}
	}
}

// reapChild waits for a child that has been killed, which takes the kernel a moment.
func reapChild(pid int, deadline time.Time) {
	for time.Now().Before(deadline) {
		if got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); got == pid || err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// leftovers returns the children of this process that come from a plugin that has ended.
func (r *Reaper) leftovers() (found []procStat) {
	for _, child := range r.otherChildren() {
		if !child.dead && r.isLeftover(child.pid) {
			found = append(found, child)
		}
	}
	return found
}

// isLeftover reports whether a process comes from a plugin of this agent that has ended. A plugin
// that ends during the scan starts a sweep of its own after that.
func (r *Reaper) isLeftover(pid int) bool {
	from, dirs := originOf(pid), socketDirsOf(pid)
	marked := r.agent != 0 && from.agent == r.agent
	running := false
	r.plugins.Range(func(_, plugin any) bool {
		p := plugin.(*Process)
		running = marked && p.origin == from || slices.Contains(dirs, p.socketDir())
		return !running
	})
	return !running && (marked || belongsTo(r.dir, dirs))
}

// killLeftoversOf kills the processes of the plugins of a dead agent: all that have their origin in
// that agent, or whose environment names the directory of its sockets.
func killLeftoversOf(dir string, log *slog.Logger) {
	agent := agentNumber(dir)
	lines := &killLog{log: log.With("agent", dir)}
	defer lines.finish()
	for _, s := range procStats() {
		if !s.dead && (agent != 0 && originOf(s.pid).agent == agent || belongsTo(dir, socketDirsOf(s.pid))) {
			lines.kill(s)
		}
	}
}

// A killLog kills processes and logs the first maxKillLines of them by name.
type killLog struct {
	log *slog.Logger
	n   int
}

func (k *killLog) kill(s procStat) {
	if s.kill() {
		k.add(s)
	}
}

func (k *killLog) add(s procStat) {
	if k.n++; k.n <= maxKillLines {
		k.log.Warn("killed a process that a plugin left behind", "pid", s.pid, "name", logging.Clean(s.name))
	}
}

func (k *killLog) finish() {
	if k.n > maxKillLines {
		k.log.Warn("killed further processes that a plugin left behind", "further", k.n-maxKillLines)
	}
}
