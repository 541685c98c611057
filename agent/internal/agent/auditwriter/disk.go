package auditwriter

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/outfile"
)

// files is the folder of the record, as the writer sees it.
type files interface {
	// create makes a new file, which comes after all those before it.
	create(now time.Time) (f file, name string, err error)
	// remove removes a file that could not be begun.
	remove(name string)
	// prune removes the oldest files but the named one until the rest are no larger than most.
	prune(current string, most int64) error
	// move tells another path of the same folder.
	move(dir string)
	// release gives the folder up.
	release()
}

// A file is one file of the record.
type file interface {
	io.WriteCloser
	Truncate(size int64) error
	Sync() error
	// look returns an error when the file is not at its name any more or has not this size,
	// and whether what was written to it is gone with that.
	look(size int64) (gone bool, err error)
}

// A folder is a real folder that this agent has locked.
type folder struct {
	dir  string
	lock *os.File // the folder itself, by flock(2); nil while it has not been found
	last uint64   // number of the last file
}

// claim makes the folder, sees whether files can be made in it, and locks it. A disk that is
// full is no error.
func claim(dir string) (*folder, error) {
	f := &folder{dir: dir}
	if err := f.hold(); err != nil && !isPassing(err) {
		return nil, err
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err == nil {
		_ = probe.Close() // it is empty
		err = os.Remove(probe.Name())
	}
	if err != nil && !isPassing(err) {
		f.release()
		return nil, fmt.Errorf("cannot make a file in it: %w", err)
	}
	return f, nil
}

// errTaken is what a second agent is told.
var errTaken = errors.New("another agent writes its record there, or this one still ends an earlier record")

// hold makes the folder where it is missing, and locks the one that is at the path now.
func (f *folder) hold() error {
	if err := os.MkdirAll(f.dir, 0o750); err != nil {
		return fmt.Errorf("cannot make the folder: %w", err)
	}
	now, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	if f.lock != nil && isSameFile(f.lock, now) {
		return now.Close() // it is locked
	}
	// A file system that knows no locks is no obstacle.
	if err := unix.Flock(int(now.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		_ = now.Close() // it was only looked at
		return errTaken
	}
	f.release() // another folder, which has lost its name
	f.lock = now
	return nil
}

func (f *folder) move(dir string) { f.dir = dir }

func (f *folder) release() {
	if f.lock != nil {
		_ = f.lock.Close() // nothing was written to it
		f.lock = nil
	}
}

func isSameFile(a, b *os.File) bool {
	first, errFirst := a.Stat()
	second, errSecond := b.Stat()
	return errFirst == nil && errSecond == nil && os.SameFile(first, second)
}

// isSame reports whether two paths are those of one folder.
func isSame(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	first, errFirst := os.Stat(a)
	second, errSecond := os.Stat(b)
	return errFirst == nil && errSecond == nil && os.SameFile(first, second)
}

func (f *folder) create(now time.Time) (file, string, error) {
	if err := f.hold(); err != nil {
		return nil, "", err
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, "", err
	}
	for _, entry := range entries {
		number, _ := auditlog.ParseFileName(entry.Name())
		f.last = max(f.last, number)
	}
	f.last++
	name := auditlog.FileName(f.last, now)
	path := filepath.Join(f.dir, name)
	opened, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o640)
	if err != nil {
		return nil, "", err
	}
	return &diskFile{opened, path}, name, nil
}

func (f *folder) remove(name string) {
	_ = os.Remove(filepath.Join(f.dir, name)) // it would be told by an empty file
}

// prune leaves alone what is not named as the agent's files are.
func (f *folder) prune(current string, most int64) error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return err
	}
	var names []string
	sizes, total := map[string]int64{}, int64(0)
	for _, entry := range entries {
		name := entry.Name()
		if _, ours := auditlog.ParseFileName(name); !ours || name == current || !entry.Type().IsRegular() {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // somebody removed it
		}
		if err != nil {
			return err
		}
		names, sizes[name] = append(names, name), info.Size()
		total += info.Size()
	}
	slices.SortFunc(names, auditlog.CompareFiles)
	for _, name := range names {
		if total <= most {
			return nil
		}
		if err := os.Remove(filepath.Join(f.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total -= sizes[name]
	}
	return nil
}

// A diskFile is a file of a folder.
type diskFile struct {
	*os.File
	path string
}

// look does not tell a file that was moved from one that was removed: where it is now, and
// whether it stays there, is not known here. To one that has grown, only something was added.
func (f *diskFile) look(size int64) (gone bool, err error) {
	if err = outfile.Check(f.path, f.File, size); err == nil {
		return false, nil
	}
	info, statErr := f.Stat()
	grown := statErr == nil && errors.Is(err, outfile.ErrChanged) && info.Size() > size
	return !grown, fmt.Errorf("%s %w", filepath.Base(f.path), err)
}

// isPassing reports whether an error of the disk may be over later: it is full, a quota is
// reached, it does not work, or too many files are open; see errno(3).
func isPassing(err error) bool {
	for _, passing := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}
