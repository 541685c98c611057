package program

import (
	"bufio"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

const (
	// procSelf begins the paths of what the agent executes by its own descriptors; see proc(5).
	procSelf  = "/proc/self/"
	mountProc = "mount it: mount -t proc proc /proc"
)

// ExplainExec says in one line why the kernel did not execute a program, and what to do. executed is
// the path that the kernel was given, err its error.
func ExplainExec(path, executed string, err error) error {
	switch {
	case errors.Is(err, unix.ENOEXEC):
		return notExecutableHere(path)
	case errors.Is(err, unix.ENOENT):
		return notFound(path, executed)
	case errors.Is(err, unix.EACCES):
		return notAllowed(path)
	case errors.Is(err, unix.ETXTBSY):
		return fmt.Errorf("%s is being written; write a new file and rename it", path)
	default:
		return fmt.Errorf("%s could not be started: %w", path, err)
	}
}

// notExecutableHere explains ENOEXEC.
func notExecutableHere(path string) error {
	f := readFormat(path)
	if !f.isELF {
		return fmt.Errorf("%s is neither a program for %s nor a script with an interpreter in its first line",
			path, runtime.GOARCH)
	}
	return fmt.Errorf("%s is built for %s, this machine is %s; build it with GOARCH=%s",
		path, archName(f.machine), runtime.GOARCH, runtime.GOARCH)
}

// notFound explains ENOENT.
func notFound(path, executed string) error {
	_, err := os.Lstat(path)
	switch {
	case strings.HasPrefix(executed, procSelf) && !exists(procSelf):
		return fmt.Errorf("%s cannot be executed, as /proc is not mounted, and the agent starts it as %s; "+
			"%s", path, executed, mountProc)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no file %s any more; install it again", path)
	}
	f := readFormat(path)
	switch {
	case f.isELF && f.interpreter != "":
		return fmt.Errorf("%s needs %s, which is not installed; build it with CGO_ENABLED=0", path, f.interpreter)
	case f.windowsLines:
		return fmt.Errorf("%s has lines that end as on Windows, which the kernel takes for a part of the interpreter's name; "+
			"save it with Unix line endings", path)
	case f.interpreter != "":
		return fmt.Errorf("%s needs %s, which is not installed", path, f.interpreter)
	}
	return fmt.Errorf("%s could not be executed: %w, although the file is there", path, unix.ENOENT)
}

// notAllowed explains EACCES.
func notAllowed(path string) error {
	if interpreter := readFormat(path).interpreter; filepath.IsAbs(interpreter) {
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

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// A format is what the kernel reads of a file in order to execute it; zero for one it cannot execute.
type format struct {
	isELF        bool
	machine      elf.Machine
	interpreter  string // of a script, or the loader of a program; may be empty
	windowsLines bool   // the first line of a script ends with a carriage return
}

func readFormat(path string) (f format) {
	file, err := openRegular(path, 0)
	if err != nil {
		return format{}
	}
	defer func() { _ = file.Close() }() // read only
	const most = 256                    // bytes of a first line, as in the kernel, or of a loader's path
	if program, err := elf.NewFile(file); err == nil {
		f.isELF, f.machine = true, program.Machine
		for _, p := range program.Progs {
			if p.Type == elf.PT_INTERP {
				loader, _ := io.ReadAll(io.LimitReader(p.Open(), most))
				f.interpreter = logging.Clean(strings.TrimRight(string(loader), "\x00"))
				break
			}
		}
		return f
	}
	line, _ := bufio.NewReader(io.NewSectionReader(file, 0, most)).ReadString('\n')
	line = strings.TrimSuffix(line, "\n")
	f.windowsLines = strings.HasSuffix(line, "\r")
	line, script := strings.CutPrefix(line, "#!")
	if words := strings.Fields(line); script && len(words) > 0 {
		f.interpreter = logging.Clean(words[0])
	}
	return f
}

// archName returns the name that Go has for an architecture.
func archName(machine elf.Machine) string {
	names := map[elf.Machine]string{
		elf.EM_X86_64: "amd64", elf.EM_386: "386", elf.EM_ARM: "arm", elf.EM_AARCH64: "arm64",
		elf.EM_RISCV: "riscv64", elf.EM_PPC64: "ppc64", elf.EM_S390: "s390x", elf.EM_LOONGARCH: "loong64",
		elf.EM_MIPS: "mips",
	}
	if name, ok := names[machine]; ok {
		return name
	}
	return machine.String()
}
