package pluginhost

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"
)

// maxProgramBytes is the size of the largest program that is taken with a checksum, as its
// copy is held in memory, and whose checksum is found out for people.
const maxProgramBytes = 256 << 20

// checksumPrefix begins every checksum, so that another kind can be told from it.
const checksumPrefix = "sha256:"

// A program is what the processes of one plugin execute. Without a checksum that is the file
// of a name, whatever it holds at the time. With one it is a copy of the file, made and
// checked once: a sealed file in memory, see memfd_create(2), that nobody can change any
// more. Looking at a file and then executing it by its name would leave time to put other
// bytes there; even the file that is held open may be written into.
type program struct {
	path   string   // with no symbolic link in it
	sealed *os.File // nil without a checksum
	sum    string   // of the sealed copy
	script bool     // the sealed copy is run by an interpreter

	lines *rate.Limiter // of what its processes print
}

// openProgram returns the program at a path, which has been checked; a checksum that is not
// empty must be that of the file.
func openProgram(path, checksum string) (*program, error) {
	p := &program{path: path, lines: newLineLimit()}
	if checksum == "" {
		return p, nil
	}
	if err := p.seal(); err != nil {
		return nil, err
	}
	if p.sum != checksum {
		p.close()
		return nil, fmt.Errorf("the checksum of %s is %s, and the config expects %s; "+
			"install the program that was meant, or correct the checksum", path, p.sum, checksum)
	}
	return p, nil
}

// check looks at the program again before a further start. Link is the path that the config has.
func (p *program) check(link string) error {
	_, err := resolveProgram(p.path)
	if _, gone := os.Lstat(p.path); errors.Is(gone, fs.ErrNotExist) {
		if now, linkErr := resolveProgram(link); linkErr == nil {
			return fmt.Errorf("there is no file %s any more, to which %s led when the config was read; "+
				"reload, to execute %s", p.path, link, now)
		}
	}
	return err
}

// seal makes the copy.
func (p *program) seal() error {
	file, err := openRegular(p.path, unix.O_NOFOLLOW)
	if err != nil {
		return fmt.Errorf("%s: %w; for its checksum the agent's user must be able to read it", p.path, err)
	}
	defer func() { _ = file.Close() }() // read only
	memory, err := memfd(filepath.Base(p.path))
	if err != nil {
		return fmt.Errorf("a copy of %s in memory: %w", p.path, err)
	}
	defer func() { _ = memory.Close() }() // p.sealed is another
	var head bytes.Buffer
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(memory, hash, &firstBytes{&head, 2}), io.LimitReader(file, maxProgramBytes+1))
	switch {
	case err != nil:
		return fmt.Errorf("a copy of %s in memory: %w", p.path, err)
	case n > maxProgramBytes:
		return fmt.Errorf("%s is larger than %d MiB, the most that is taken with a checksum", p.path, maxProgramBytes>>20)
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(memory.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("seal the copy of %s: %w", p.path, err)
	}
	p.sum, p.script = sumText(hash.Sum(nil)), head.String() == "#!"
	// The kernel executes nothing that is open for writing.
	p.sealed, err = os.Open(fmt.Sprintf(procSelf+"fd/%d", memory.Fd()))
	if errors.Is(err, fs.ErrNotExist) && !isThere(procSelf) {
		return fmt.Errorf("a copy of %s in memory cannot be executed, as /proc is not mounted; %s", p.path, mountProc)
	}
	return err
}

// memfd returns an empty file in memory that may be executed and sealed.
func memfd(name string) (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3 all of them may be executed
		fd, err = unix.MemfdCreate(name, flags)
	}
	if errors.Is(err, unix.EACCES) {
		return nil, fmt.Errorf("%w: this machine executes nothing from memory (sysctl vm.memfd_noexec); "+
			"set that to 1 or less, or take the checksum out", err)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// firstBytes keeps the first bytes that are written to it.
type firstBytes struct {
	to   *bytes.Buffer
	most int
}

func (f *firstBytes) Write(b []byte) (int, error) {
	f.to.Write(b[:min(len(b), f.most-f.to.Len())])
	return len(b), nil
}

// open opens the file that is executed, for its checksum; nil where that is known, or the file
// cannot be read.
func (p *program) open() *os.File {
	if p.sealed != nil {
		return nil
	}
	file, err := openRegular(p.path, 0)
	if err != nil {
		return nil
	}
	return file
}

func (p *program) close() {
	if p.sealed != nil {
		_ = p.sealed.Close() // read only
	}
}

// sumPause is how long sumFile rests after each block of 64 KiB, so that the first steps do not wait for
// it where the agent has one core. A goroutine that only yields keeps the runtime from polling sockets.
const sumPause = 50 * time.Microsecond

// sumFile returns the checksum of what the file holds. It gives up when the context ends.
func sumFile(ctx context.Context, file io.Reader) (string, error) {
	hash := sha256.New()
	for chunk := make([]byte, 64<<10); ; {
		n, err := file.Read(chunk)
		_, _ = hash.Write(chunk[:n]) // never fails
		time.Sleep(sumPause)
		if errors.Is(err, io.EOF) {
			return sumText(hash.Sum(nil)), nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return "", err
		}
	}
}

func sumText(sum []byte) string { return checksumPrefix + hex.EncodeToString(sum) }
