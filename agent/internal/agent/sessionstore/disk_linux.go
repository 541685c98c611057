package sessionstore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/shared/outfile"
)

// A disk is the folder of a store. Names are those of files in it.
type disk interface {
	// names returns the names of all regular files.
	names() ([]string, error)
	read(name string) ([]byte, error)
	// create creates a file that is not there yet.
	create(name string) (file, error)
	rename(from, to string) error
	remove(name string) error
	// sync makes the names durable.
	sync() error
	// close ends the lock of the folder.
	close() error
}

// A file is a file of the folder that is written.
type file interface {
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// sync makes what was written durable. Where that fails, it may never succeed: the kernel may
	// have dropped what it could not write.
	sync() error
}

// A folder is a disk that this process has locked. No path leads out of it, as for a link instead of
// a file.
type folder struct {
	root *os.Root
	lock *os.File
}

const (
	lockName  = "lock"
	logPrefix = "log-"
	newSuffix = ".new" // of a log that is not complete
)

// openFolder makes the folder, but not those above it, and locks it.
func openFolder(dir string) (*folder, error) {
	err := os.Mkdir(dir, 0o700)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the folder %s cannot be made: %w; make the folder %s first", dir, cause(err), filepath.Dir(dir))
	case err != nil && !errors.Is(err, fs.ErrExist):
		return nil, fmt.Errorf("the folder %s cannot be made: %w; name a folder that the agent can write to", dir, cause(err))
	}
	if parent, openErr := os.Open(filepath.Dir(dir)); err == nil && openErr == nil {
		_ = parent.Sync() // the name of the new folder; where that fails, so will what follows
		_ = parent.Close()
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be opened: %w; name a folder of the agent", dir, cause(err))
	}
	lock, err := root.OpenFile(lockName, os.O_RDWR|os.O_CREATE|unix.O_NONBLOCK, 0o600)
	if err != nil {
		_ = root.Close() // nothing was written
		return nil, fmt.Errorf("the file %s cannot be made in %s: %w; name a folder that the agent can write to", lockName, dir, cause(err))
	}
	d := &folder{root, lock}
	if err := outfile.Lock(lock); err != nil {
		by := d.owner()
		_ = d.close() // nothing was written
		return nil, fmt.Errorf("another agent%s keeps its sessions in %s; give each agent a folder of its own", by, dir)
	}
	// The process id is for the sentence above alone, and a full disk must not end the start here.
	_ = lock.Truncate(0)
	_, _ = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	return d, nil
}

// owner describes the process that has the lock; empty when that is unknown.
func (d *folder) owner() string {
	var text [20]byte
	n, _ := d.lock.ReadAt(text[:], 0)
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n]))); err == nil {
		return fmt.Sprintf(" (process %d)", pid)
	}
	return ""
}

func (d *folder) close() error {
	outfile.Unlock(d.lock)
	return errors.Join(d.lock.Close(), d.root.Close())
}

func (d *folder) names() (names []string, err error) {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	for _, entry := range entries {
		if entry.Type().IsRegular() {
			names = append(names, entry.Name())
		}
	}
	return names, err
}

func (d *folder) read(name string) ([]byte, error) { return d.root.ReadFile(name) }

func (d *folder) create(name string) (file, error) {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

func (d *folder) rename(from, to string) error { return d.root.Rename(from, to) }
func (d *folder) remove(name string) error     { return d.root.Remove(name) }

func (d *folder) sync() error {
	f, err := d.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// A diskFile is a file of a folder.
type diskFile struct{ *os.File }

func (f diskFile) sync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// cause returns the error without the operation and the path.
func cause(err error) error {
	for _, is := range []error{unix.ENOSPC, unix.EDQUOT, unix.EROFS, unix.EIO} {
		if errors.Is(err, is) {
			return is
		}
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// parseName returns the number of a log, or of one that was set aside; false for other files. Rest is
// what follows the number.
func parseName(name string) (number uint64, rest string, ok bool) {
	digits, ok := strings.CutPrefix(name, logPrefix)
	if !ok {
		return 0, "", false
	}
	digits, rest, cut := strings.Cut(digits, ".")
	if cut {
		rest = "." + rest
	}
	number, err := strconv.ParseUint(digits, 10, 63)
	return number, rest, err == nil && logName(number) == logPrefix+digits
}

func logName(number uint64) string { return logPrefix + strconv.FormatUint(number, 10) }
