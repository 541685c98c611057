package process

import (
	"bytes"
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
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

// compare orders processes by their ids.
func (s procStat) compare(pid int) int { return cmp.Compare(s.pid, pid) }

// procStats reads all processes and returns them in the order of their ids.
func procStats() (all []procStat) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil // without it, no process is known
	}
	defer func() { _ = dir.Close() }() // read only
	names, _ := dir.Readdirnames(-1)   // those that it has read
	all = make([]procStat, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if s, ok := readProcStat(pid); ok {
				all = append(all, s)
			}
		}
	}
	slices.SortFunc(all, func(a, b procStat) int { return a.compare(b.pid) })
	return all
}

// readProcStat reads one process. It reports false when the process has ended.
func readProcStat(pid int) (s procStat, ok bool) {
	readProc(pid, "stat", func(stat []byte) { s, ok = parseProcStat(pid, stat) })
	return s, ok
}

func parseProcStat(pid int, stat []byte) (s procStat, ok bool) {
	begin, end := bytes.IndexByte(stat, '('), bytes.LastIndex(stat, []byte(") "))
	if begin < 0 || end < begin {
		return s, false
	}
	s.pid, s.name = pid, string(stat[begin+1:end])
	n := 2 // of the field, as in the man page
	for field := range bytes.FieldsSeq(stat[end+1:]) {
		switch n++; n {
		case 3:
			s.dead = field[0] == 'Z' || field[0] == 'X'
		case 4:
			s.parent, _ = strconv.Atoi(string(field)) // the kernel writes numbers
		case 6:
			s.session, _ = strconv.Atoi(string(field))
		case 20:
			s.threads, _ = strconv.ParseUint(string(field), 10, 64)
		case 22:
			s.started = string(field)
			return s, true
		}
	}
	return s, false
}

// procBuffers are for readProc.
var procBuffers = sync.Pool{New: func() any { return new(make([]byte, 4<<10)) }}

// readProc calls use with the contents of a file of a process, which are valid until that returns. It
// does not call it when the process has ended or belongs to another user. A scan reads hundreds of files:
// this takes half the system calls of os.ReadFile, and no memory.
func readProc(pid int, file string, use func(contents []byte)) {
	fd, err := unix.Open(procPath(pid, file), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(fd) }() // read only
	buffer := procBuffers.Get().(*[]byte)
	defer procBuffers.Put(buffer)
	for n := 0; ; {
		got, err := unix.Read(fd, (*buffer)[n:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return
		case got == 0:
			use((*buffer)[:n])
			return
		}
		if n += got; n == len(*buffer) {
			*buffer = append(*buffer, make([]byte, n)...)
		}
	}
}

func procPath(pid int, file string) string {
	return "/proc/" + strconv.Itoa(pid) + "/" + file
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
	readProc(pid, "environ", func(environ []byte) {
		for variable := range bytes.SplitSeq(environ, []byte{0}) {
			if dir, ok := bytes.CutPrefix(variable, []byte(socketDirVariable+"=")); ok {
				dirs = append(dirs, string(dir))
			}
		}
	})
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
