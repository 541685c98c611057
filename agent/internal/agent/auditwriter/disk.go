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

	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/outfile"
)

// files is the folder of the record, as the sink uses it.
type files interface {
	// create creates a file that comes after all others in the folder.
	create(now time.Time) (f file, name string, err error)
	// remove removes a file that could not be begun.
	remove(name string)
	// prune removes the oldest files, except current, until the rest take at most maxBytes. It calls
	// removing, unless that is nil, before each.
	prune(current string, maxBytes int64, removing func(path string)) error
	// rename notes that the folder is now reached by another path.
	rename(dir string)
	unlock()
}

// A file is one file of the record.
type file interface {
	io.WriteCloser
	Truncate(size int64) error
	Sync() error
	// check returns an error when the file is no longer at its name or has not this size. gone
	// says that its events are lost with that.
	check(size int64) (gone bool, err error)
}

// A folder is a folder on disk that this agent has locked.
type folder struct {
	dir  string
	open *os.File // locked by flock(2); nil while the folder cannot be opened
	last uint64   // number of the last file
}

// openFolder creates the folder, checks that files can be created in it, and locks it. A full
// disk is no error.
func openFolder(dir string) (*folder, error) {
	f := &folder{dir: dir}
	if err := f.lock(); err != nil && !isTransient(err) {
		return nil, err
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err == nil {
		_ = probe.Close() // it is empty
		err = os.Remove(probe.Name())
	}
	if err != nil && !isTransient(err) {
		f.unlock()
		return nil, fmt.Errorf("cannot make a file in it: %w", err)
	}
	return f, nil
}

var errLocked = errors.New("another agent writes its record there, or this one still ends an earlier record")

// lock creates the folder where it is missing, and locks the one that is at the path now.
func (f *folder) lock() error {
	if err := os.MkdirAll(f.dir, 0o750); err != nil {
		return fmt.Errorf("cannot make the folder: %w", err)
	}
	now, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	if f.open != nil && isSameFile(f.open, now) {
		return now.Close() // it is locked
	}
	if outfile.Lock(now) != nil {
		_ = now.Close() // it was only opened for the lock
		return errLocked
	}
	f.unlock() // another folder, which was renamed or removed
	f.open = now
	return nil
}

func (f *folder) rename(dir string) { f.dir = dir }

func (f *folder) unlock() {
	if f.open != nil {
		outfile.Unlock(f.open)
		_ = f.open.Close() // nothing was written to it
		f.open = nil
	}
}

func isSameFile(a, b *os.File) bool {
	first, errFirst := a.Stat()
	second, errSecond := b.Stat()
	return errFirst == nil && errSecond == nil && os.SameFile(first, second)
}

func (f *folder) create(now time.Time) (file, string, error) {
	if err := f.lock(); err != nil {
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
	_ = os.Remove(filepath.Join(f.dir, name)) // where that fails too, an empty file stays
}

// prune removes only regular files with names of the audit log.
func (f *folder) prune(current string, maxBytes int64, removing func(path string)) error {
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
			continue // removed by another program
		}
		if err != nil {
			return err
		}
		names, sizes[name] = append(names, name), info.Size()
		total += info.Size()
	}
	slices.SortFunc(names, auditlog.CompareFiles)
	for _, name := range names {
		if total <= maxBytes {
			return nil
		}
		path := filepath.Join(f.dir, name)
		if removing != nil {
			removing(path)
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
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

// check does not distinguish a file that was moved from one that was removed: whether it stays
// where it is now is unknown. A file that has grown still holds its events.
func (f *diskFile) check(size int64) (gone bool, err error) {
	if err = outfile.Check(f.path, f.File, size); err == nil {
		return false, nil
	}
	info, statErr := f.Stat()
	grown := statErr == nil && errors.Is(err, outfile.ErrChanged) && info.Size() > size
	return !grown, fmt.Errorf("%s %w", filepath.Base(f.path), err)
}

// isTransient reports whether a later attempt may succeed: the disk is full or broken, a quota is
// reached, or too many files are open; see errno(3).
func isTransient(err error) bool {
	for _, transient := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, transient) {
			return true
		}
	}
	return false
}
