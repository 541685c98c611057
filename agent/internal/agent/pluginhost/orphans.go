package pluginhost

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
)

// endOrphans kills the processes that plugins of a dead agent have left behind, and plugins
// that kept the kernel from ending them with it: all that have their origin in that agent, or whose
// environment names the directory of its sockets, as the agent gave both to them.
func endOrphans(dir string, log *slog.Logger) {
	agent := agentNumber(dir)
	lines := &killLines{log: log.With("agent", dir)}
	defer lines.end()
	for _, s := range suspects() {
		if s.dead || !(agent != 0 && originOf(s.pid).agent == agent || environNames(s.pid, dir)) {
			continue
		}
		if s.kill() {
			lines.add(s)
		}
	}
}

// socketDirVariable names the directory for a plugin's sockets, see validator.proto.
const socketDirVariable = "PLUGIN_UNIX_SOCKET_DIR"

// environNames reports whether a process's environment names a directory for sockets that belongs to
// the agent whose directory this is. The name alone counts: the agent may have had to make the
// directory elsewhere, see socketDir.mend.
func environNames(pid int, dir string) bool {
	environ, err := os.ReadFile(procPath(pid, "environ"))
	if dir == "" || err != nil {
		return false // the process is another user's, or gone
	}
	mark := []byte("/" + filepath.Base(dir) + "/")
	for variable := range bytes.SplitSeq(environ, []byte{0}) {
		if value, ok := bytes.CutPrefix(variable, []byte(socketDirVariable+"=")); ok && bytes.Contains(value, mark) {
			return true
		}
	}
	return false
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
