package pluginhost

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// endOrphans kills the processes that plugins of a dead agent have left behind, and plugins
// that kept the kernel from ending them with it: all whose environment names the directory
// of that agent's sockets, as the agent gave it to them.
func endOrphans(dir string) {
	all, _ := filepath.Glob("/proc/[0-9]*") // the pattern is sound
	for _, path := range all {
		if !environHas(path, socketDirVariable+"="+dir+"/") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(path)); err == nil {
			_ = unix.Kill(pid, unix.SIGKILL) // gone already is as good
		}
	}
}

// socketDirVariable names the directory for a plugin's sockets, see validator.proto.
const socketDirVariable = "PLUGIN_UNIX_SOCKET_DIR"

// environHas reports whether a variable of a process's environment begins with the mark, which
// is not empty. process is a directory such as /proc/1.
func environHas(process, mark string) bool {
	environ, err := os.ReadFile(filepath.Join(process, "environ"))
	if err != nil || mark == "" {
		return false // another user's, or gone
	}
	return bytes.HasPrefix(environ, []byte(mark)) || bytes.Contains(environ, []byte("\x00"+mark))
}
