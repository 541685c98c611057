// Package outfile writes the files that are shown to others later: records, captures and
// reports. It sees to it that a file which was asked for is there in the end, whole, at its
// name and written by one program, or that the caller gets an error; and that no other user
// of the machine can turn the writing to a file of his choice.
//
// It is for the client and for the agent alike. What is written it does not know.
package outfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// A File is new evidence that grows while things happen. It is for one goroutine at a time.
type File struct {
	file *os.File
	path string // as the user names it
	at   string // where it led to when it was opened
	size int64  // what was written, in bytes
	// regular is false for pipes and devices, which keep nothing.
	regular bool
	looked  time.Time
	closed  error
	done    bool
}

// Create opens new evidence at path. A file that holds anything is refused and not changed:
// evidence is never overwritten. An empty file is taken, and so are pipes and devices. The
// file is locked until Close, so that a second writer is refused.
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
	if err := f.begin(foreign); err != nil {
		_ = file.Close() // nothing was written
		return nil, err
	}
	return f, nil
}

// open opens what is at the place or makes it. In a foreign folder nothing is made through a
// link that appears at this moment.
func open(path, at string, foreign bool) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_APPEND
	if !foreign {
		return wait(path, at, flags|os.O_CREATE)
	}
	file, err := os.OpenFile(at, flags|os.O_CREATE|os.O_EXCL, newMode)
	if errors.Is(err, fs.ErrExist) {
		return wait(path, at, flags|noFollow)
	}
	return file, named(err, path)
}

// named has an error tell of the path as the user names it.
func named(err error, path string) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		at.Path = path
	}
	return err
}

// newMode is the mode of a new file, from which the user's umask takes away.
const newMode = 0o644

// PipeWait is how long opening a named pipe waits for a program that reads it.
const PipeWait = 5 * time.Second

// wait opens a file; a named pipe as soon as a program reads it.
func wait(path, at string, flags int) (*os.File, error) {
	return waitFor(PipeWait, path, at, flags)
}

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

// begin sees whether the file may be written.
func (f *File) begin(foreign bool) error {
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
	if err := lock(f.file); err != nil {
		return fmt.Errorf("%s %w; name another file", f.path, err)
	}
	if info, err = f.file.Stat(); err == nil && info.Size() > 0 { // the lock's last owner may have written
		err = fmt.Errorf("%s holds something already; name another file, or remove it", f.path)
	}
	return err
}

// ErrLocked is the error of a lock that another program holds.
var ErrLocked = errors.New("is being written by another program")

// lookEvery is the least time from one look at a file by its name to the next while it is
// written.
const lookEvery = time.Second

// Write writes at the end of the file. A file that has gone is an error soon, and not in the
// end alone.
func (f *File) Write(p []byte) (int, error) {
	if f.regular && time.Since(f.looked) >= lookEvery {
		f.looked = time.Now()
		if err := f.check(); errors.Is(err, ErrGone) {
			return 0, err
		}
	}
	n, err := f.file.Write(p)
	f.size += int64(n)
	return n, named(err, f.path)
}

// Close makes the file durable and closes it. The error says that the evidence is not all
// there. Close may be called again, and returns the same error.
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

// Check looks whether the file that is open is still the one at its name, and holds as many
// bytes as were written. Its error is to be read after the name of the file.
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
		return fmt.Errorf("cannot be looked at: %w", err)
	case opened.Size() != size:
		return fmt.Errorf("%w: %d bytes were written and it has %d", ErrChanged, size, opened.Size())
	}
	return nil
}

// ErrGone and ErrChanged are the errors of Check.
var (
	ErrGone    = errors.New("was removed, renamed or replaced by another program while it was written")
	ErrChanged = errors.New("was changed by another program while it was written")
)
