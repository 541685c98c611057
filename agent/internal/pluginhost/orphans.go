package pluginhost

import (
	"bytes"
	"log/slog"
	"os"
)

// endOrphans kills the processes that plugins of a dead agent have left behind, and plugins
// that kept the kernel from ending them with it: all that have their origin in that agent, or whose
// environment names the directory of its sockets, as the agent gave both to them.
func endOrphans(dir string, log *slog.Logger) {
	agent, mark := agentNumber(dir), environMark(dir)
	lines := &killLines{log: log.With("agent", dir)}
	defer lines.end()
	for _, s := range suspects() {
		if s.dead || !(agent != 0 && originOf(s.pid).agent == agent || environHas(s.pid, mark)) {
			continue
		}
		if s.kill() {
			lines.add(s)
		}
	}
}

// socketDirVariable names the directory for a plugin's sockets, see validator.proto.
const socketDirVariable = "PLUGIN_UNIX_SOCKET_DIR"

// environMark begins the variable that names the directories of the sockets of an agent's plugins.
func environMark(dir string) string {
	if dir == "" {
		return ""
	}
	return socketDirVariable + "=" + dir + "/"
}

// environHas reports whether a variable of a process's environment begins with the mark, which
// is not empty.
func environHas(pid int, mark string) bool {
	if mark == "" {
		return false
	}
	environ, err := os.ReadFile(procPath(pid, "environ"))
	if err != nil {
		return false // another user's, or gone
	}
	return bytes.HasPrefix(environ, []byte(mark)) || bytes.Contains(environ, []byte("\x00"+mark))
}
