package pluginhost

import (
	"bufio"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/plugins/sdk"
)

// diagnose says in one line why a program did not become a plugin, and what to do. What
// go-plugin says of it is several lines that name several guesses; err is used where nothing
// better is known.
func (l *launching) diagnose(ctx context.Context, err error) error {
	path := l.path
	line := l.handshake.text()
	switch {
	case errors.Is(err, errCondemned):
		return fmt.Errorf("%s was not ready in time: %w", path, context.Cause(ctx))
	case errors.Is(err, unix.EMFILE):
		return fmt.Errorf("%s could not be started: the agent has as many files and connections open as it may; "+
			"raise its limit (LimitNOFILE= of the service, or ulimit -n)", path)
	case l.dir == "":
		return fmt.Errorf("no directory for the plugin's socket: %w", err)
	case errors.Is(err, unix.ENOEXEC):
		return notForThisMachine(path)
	case errors.Is(err, unix.ENOENT) && l.process.pid() == 0:
		return notFound(path, l.process.cmd.Path)
	case errors.Is(err, unix.EACCES) && l.process.pid() == 0:
		return notAllowed(path)
	case errors.Is(err, unix.ETXTBSY):
		return fmt.Errorf("%s is being written; write a new file and rename it", path)
	case l.process.pid() == 0:
		return fmt.Errorf("%s could not be started: %w", path, err)
	case line != "":
		if wrong := wrongHandshake(path, line); wrong != nil {
			return wrong
		}
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < drainTime {
		<-ctx.Done() // the plugin's clock may have run out a moment before ours
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s was not ready in time: %w%s", path, context.Cause(ctx), l.lastWords())
	}
	if how := l.ending(); how != "" {
		<-l.process.drained // so that its last words are here
		return fmt.Errorf("%s ended before it was ready (%s)%s; is it a stepagent plugin?", path, how, l.lastWords())
	}
	return fmt.Errorf("%s: %w%s", path, err, l.lastWords())
}

// lastWords is what the plugin said on stderr at its end.
func (l *launching) lastWords() string {
	if line := l.stderr.lastWords(); line != "" {
		return fmt.Sprintf("; it said: %s", line)
	}
	return ""
}

// wrongHandshake says what is wrong with a handshake line; nil when nothing is.
func wrongHandshake(path, line string) error {
	part := strings.Split(line, "|")
	if _, err := strconv.Atoi(part[0]); err != nil || len(part) < 4 {
		return fmt.Errorf("%s printed \"%.100s\" where the handshake must stand; "+
			"a plugin prints nothing else to stdout before it", path, line)
	}
	if part[1] != strconv.Itoa(sdk.ProtocolVersion) {
		return fmt.Errorf("%s speaks version %.20s of the plugin contract, this agent speaks version %d; "+
			"build the plugin with the sdk of this agent's version", path, part[1], sdk.ProtocolVersion)
	}
	if len(part) < 5 || part[4] != "grpc" {
		return fmt.Errorf("%s does not speak gRPC, but %.20q; the fifth field of the handshake must be grpc",
			path, strings.Join(part[4:min(len(part), 5)], ""))
	}
	if part[2] != "unix" {
		return fmt.Errorf("%s listens on %.20s %.100s; it must listen on a unix socket in PLUGIN_UNIX_SOCKET_DIR",
			path, part[2], part[3])
	}
	if len(part) > handshakeFields && part[handshakeFields] != "" {
		return fmt.Errorf("%s wants TLS, as its handshake has a certificate; the plugin contract has none: "+
			"nothing may follow the fifth field", path)
	}
	return nil
}

// notForThisMachine tells why the kernel finds no program in a file.
func notForThisMachine(path string) error {
	f, err := openELF(path)
	if err != nil {
		return fmt.Errorf("%s is neither a program for %s nor a script with an interpreter in its first line",
			path, runtime.GOARCH)
	}
	defer func() { _ = f.Close() }() // read only
	return fmt.Errorf("%s is built for %s, this machine is %s; build it with GOARCH=%s",
		path, archName(f.File), runtime.GOARCH, runtime.GOARCH)
}

// An elfFile is a program and the file that it is read from.
type elfFile struct {
	*elf.File
	file *os.File
}

// Close closes the file.
func (f *elfFile) Close() error { return f.file.Close() }

func openELF(path string) (*elfFile, error) {
	file, err := openRegular(path, 0)
	if err != nil {
		return nil, err
	}
	program, err := elf.NewFile(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &elfFile{program, file}, nil
}

// archName returns the architecture of a program by the name that Go has for it.
func archName(f *elf.File) string {
	names := map[elf.Machine]string{
		elf.EM_X86_64: "amd64", elf.EM_386: "386", elf.EM_ARM: "arm", elf.EM_AARCH64: "arm64",
		elf.EM_RISCV: "riscv64", elf.EM_PPC64: "ppc64", elf.EM_S390: "s390x", elf.EM_LOONGARCH: "loong64",
		elf.EM_MIPS: "mips",
	}
	if name, ok := names[f.Machine]; ok {
		return name
	}
	return f.Machine.String()
}

// notFound tells why the kernel finds no file for a program, which it executes as so.
func notFound(path, so string) error {
	_, err := os.Lstat(path)
	switch {
	case strings.HasPrefix(so, procSelf) && !isThere(procSelf):
		return fmt.Errorf("%s cannot be executed, as /proc is not mounted, and the agent starts it as %s; "+
			"%s", path, so, mountProc)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no file %s any more; install it again", path)
	}
	interpreter, isProgram := interpreterOf(path)
	switch {
	case isProgram && interpreter != "":
		return fmt.Errorf("%s needs %s, which is not installed; build it with CGO_ENABLED=0", path, interpreter)
	case strings.HasSuffix(firstLine(path), "\r"):
		return fmt.Errorf("%s has lines that end as on Windows, which the kernel takes for a part of the interpreter's name; "+
			"save it with Unix line endings", path)
	case interpreter != "":
		return fmt.Errorf("%s needs %s, which is not installed", path, interpreter)
	}
	return fmt.Errorf("%s could not be executed: %w, although the file is there", path, unix.ENOENT)
}

// notAllowed tells why the kernel does not execute a program that the agent's user may execute.
func notAllowed(path string) error {
	interpreter, _ := interpreterOf(path)
	if filepath.IsAbs(interpreter) {
		if err := checkExecutable(interpreter); err != nil {
			return fmt.Errorf("%s needs %s, which cannot be executed: %w", path, interpreter, err)
		}
	}
	if err := checkExecutable(path); filepath.IsAbs(path) && err != nil && !strings.HasPrefix(path, procSelf) {
		return err
	}
	return fmt.Errorf("%s may not be executed: %w; a security module such as AppArmor or SELinux may forbid it",
		path, unix.EACCES)
}

// mountProc is what to do where procSelf is not there.
const mountProc = "mount it: mount -t proc proc /proc"

// procSelf begins the paths of what the agent executes by its own descriptors; see proc(5).
const procSelf = "/proc/self/"

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// interpreterOf returns what the file names to run it, empty where it names nothing, and whether it is
// a program, which names a loader, rather than a script.
func interpreterOf(path string) (interpreter string, isProgram bool) {
	if f, err := openELF(path); err == nil {
		defer func() { _ = f.Close() }() // read only
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP {
				loader, _ := io.ReadAll(io.LimitReader(p.Open(), 256))
				return printable([]byte(strings.TrimRight(string(loader), "\x00"))), true
			}
		}
		return "", true
	}
	line, script := strings.CutPrefix(firstLine(path), "#!")
	if words := strings.Fields(line); script && len(words) > 0 {
		return printable([]byte(words[0])), false
	}
	return "", false
}

// firstLine returns the first line of a script, as far as it can be read.
func firstLine(path string) string {
	f, err := openRegular(path, 0)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // read only
	line, _ := bufio.NewReader(io.LimitReader(f, 256)).ReadString('\n')
	return strings.TrimSuffix(line, "\n")
}
