// Package outfile writes the files of evidence: records, captures and reports. In the end a file is
// complete, at its name and written by one program alone, or the caller gets an error. No other
// user of the machine can redirect the writing to another file.
package outfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// A File is a new file that grows. It is not safe for concurrent use.
type File struct {
	file *os.File
	path string // as the user has given it
	at   string // path with links resolved
	size int64  // bytes that were written

	regular bool      // false for pipes and devices, which store nothing
	checked time.Time // when the name was last checked
	done    bool      // set by Close
	closed  error     // of Close
}

// Create creates a file at path, or opens an empty file, a pipe or a device. A file that is not
// empty is refused: evidence is never overwritten. The file is locked until Close, so that a second
// writer is refused.
func Create(path string) (*File, error) {
	at, foreign, err := Resolve(path)
	if err != nil {
		return nil, err
	}
	file, err := open(path, at, foreign)
	if err != nil {
		return nil, err
	}
	f := &File{file: file, path: path, at: at}
	if err := f.lockEmpty(foreign); err != nil {
		_ = file.Close() // nothing was written
		return nil, err
	}
	return f, nil
}

// open opens or creates the file. In a foreign folder it does not follow a link that another user
// has created meanwhile.
func open(path, at string, foreign bool) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_APPEND
	if !foreign {
		return waitFor(pipeWait, path, at, flags|os.O_CREATE)
	}
	file, err := os.OpenFile(at, flags|os.O_CREATE|os.O_EXCL, newMode)
	if errors.Is(err, fs.ErrExist) {
		return waitFor(pipeWait, path, at, flags|noFollow)
	}
	return file, named(err, path)
}

// named replaces the path in an error by the one that the user has given.
func named(err error, path string) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		at.Path = path
	}
	return err
}

// newMode is the mode of a new file, before the umask.
const newMode = 0o644

// pipeWait is how long opening a named pipe waits for its reader.
const pipeWait = 5 * time.Second

// waitFor opens a file. It waits for the reader of a named pipe, at most the given time.
func waitFor(most time.Duration, path, at string, flags int) (*os.File, error) {
	const again = 20 * time.Millisecond
	for end := time.Now().Add(most); ; time.Sleep(again) {
		file, err := os.OpenFile(at, flags|nonBlock, newMode)
		if err == nil || !isUnread(err) {
			return file, named(err, path)
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("no program has read the pipe %s for %v; start its reader first", path, most)
		}
	}
}

// lockEmpty locks a regular file and checks that it is empty and may be written.
func (f *File) lockEmpty(foreign bool) error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	if foreign && !isOwn(info) {
		return fmt.Errorf("%s belongs to another user, and others can write its folder; name a file in a folder of your own", f.path)
	}
	f.regular = info.Mode().IsRegular()
	if !f.regular {
		return nil
	}
	if err := Lock(f.file); err != nil {
		return fmt.Errorf("%s %w; name another file", f.path, err)
	}
	if info, err = f.file.Stat(); err == nil && info.Size() > 0 { // its last owner may have written
		err = fmt.Errorf("%s holds something already; name another file, or remove it", f.path)
	}
	return err
}

// ErrLocked says that another program holds the lock of a file.
var ErrLocked = errors.New("is being written by another program")

// checkInterval is the least time between two checks of a file's name.
const checkInterval = time.Second

// Write appends to the file. It fails within about a second of writing after the file was removed or
// renamed.
func (f *File) Write(p []byte) (int, error) {
	if f.regular && time.Since(f.checked) >= checkInterval {
		f.checked = time.Now()
		if err := f.check(); errors.Is(err, ErrGone) {
			return 0, err
		}
	}
	n, err := f.file.Write(p)
	f.size += int64(n)
	return n, named(err, f.path)
}

// Close makes the file durable and closes it. An error means that the evidence is not complete.
// Close may be called again, and returns the same error.
func (f *File) Close() error {
	if f.done {
		return f.closed
	}
	f.done = true
	var err error
	if f.regular {
		err = errors.Join(named(f.file.Sync(), f.path), f.check()) // pipes and devices cannot
	}
	f.closed = errors.Join(err, f.file.Close())
	return f.closed
}

func (f *File) check() error {
	if err := Check(f.at, f.file, f.size); err != nil {
		return fmt.Errorf("%s %w", f.path, err)
	}
	return nil
}

// Check checks that the open file is still the one at path and has the size in bytes. Its error
// continues a sentence that begins with the name of the file.
func Check(path string, file *os.File, size int64) error {
	opened, err := file.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(named, opened):
		return ErrGone
	case err != nil:
		return fmt.Errorf("cannot be checked: %w", err)
	case opened.Size() != size:
		return fmt.Errorf("%w: %d bytes were written and it has %d", ErrChanged, size, opened.Size())
	}
	return nil
}

// IsSame reports whether two paths lead to the same file or folder, or are the same.
func IsSame(a, b string) bool {
	absA, errA := filepath.Abs(a)
	absB, errB := filepath.Abs(b)
	if errA == nil && errB == nil && absA == absB {
		return true
	}
	one, errA := os.Stat(a)
	other, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(one, other)
}

// Errors of Check.
var (
	ErrGone    = errors.New("was removed, renamed or replaced by another program while it was written")
	ErrChanged = errors.New("was changed by another program while it was written")
)
