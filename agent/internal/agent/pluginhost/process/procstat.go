package process

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A procStat is what /proc/PID/stat says of a process, see proc_pid_stat(5).
type procStat struct {
	pid     int
	name    string // of the executable; may hold any bytes
	parent  int
	session int
	threads uint64
	started string // in ticks since the boot; tells processes apart that had the same id
	dead    bool   // and not reaped
}

// procStats reads all processes.
func procStats() (all []procStat) {
	entries, _ := os.ReadDir("/proc") // without it, no process is known
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if s, ok := readProcStat(pid); ok {
				all = append(all, s)
			}
		}
	}
	return all
}

// readProcStat reads one process. It reports false when the process has ended.
func readProcStat(pid int) (procStat, bool) {
	b, err := os.ReadFile(procPath(pid, "stat"))
	text := string(b)
	begin, end := strings.Index(text, "("), strings.LastIndex(text, ") ")
	if err != nil || begin < 0 || end < begin {
		return procStat{}, false
	}
	fields := strings.Fields(text[end+1:]) // from state, the third field, on
	if len(fields) < 20 {
		return procStat{}, false
	}
	s := procStat{pid: pid, name: text[begin+1 : end], started: fields[19], dead: fields[0] == "Z" || fields[0] == "X"}
	s.parent, _ = strconv.Atoi(fields[1]) // the kernel writes numbers
	s.session, _ = strconv.Atoi(fields[3])
	s.threads, _ = strconv.ParseUint(fields[17], 10, 64)
	return s, true
}

func procPath(pid int, file string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), file)
}

// kill kills the process, but no other one that has got its id since. It reports whether it did.
func (s procStat) kill() bool {
	p, _ := os.FindProcess(s.pid) // never fails on Unix; holds a pidfd since Linux 5.4
	defer func() { _ = p.Release() }()
	now, running := readProcStat(s.pid)
	return running && now.started == s.started && p.Kill() == nil
}

// socketDirVariable names the directory for a plugin's sockets, see validator.proto.
const socketDirVariable = "PLUGIN_UNIX_SOCKET_DIR"

// socketDirsOf returns the values of socketDirVariable in a process's environment; none when the
// process is another user's, or gone.
func socketDirsOf(pid int) (dirs []string) {
	environ, _ := os.ReadFile(procPath(pid, "environ"))
	for variable := range strings.SplitSeq(string(environ), "\x00") {
		if dir, ok := strings.CutPrefix(variable, socketDirVariable+"="); ok {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// belongsTo reports whether one of the directories for sockets is below that of the agent. Only the
// name of the agent's directory counts: it may have been made again elsewhere, see SocketDir.Repair.
func belongsTo(agentDir string, dirs []string) bool {
	for _, dir := range dirs {
		if agentDir != "" && strings.Contains(dir, "/"+filepath.Base(agentDir)+"/") {
			return true
		}
	}
	return false
}
