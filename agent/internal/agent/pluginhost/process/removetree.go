package process

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// removeTime bounds the removal of a directory that a plugin may have filled; the next start of
	// an agent removes the rest.
	removeTime = 100 * time.Millisecond
	// removeBatch is how many entries of a directory are read at once.
	removeBatch = 256
)

// removeTree removes a directory and its content within the given time, also where a plugin has
// taken the permissions for that away. It moves nested directories up before it removes them, so that
// it needs one file descriptor for any depth: os.RemoveAll holds one for each level.
func removeTree(path string, within time.Duration) error {
	r := &removal{top: path, deadline: time.Now().Add(within)}
	for {
		before := r.moved
		err := r.remove(path)
		// A directory that was moved up during the read may not have been among the entries.
		if !errors.Is(err, unix.ENOTEMPTY) || r.moved == before {
			return ignoreMissing(err)
		}
	}
}

// A removal is the state of one removeTree.
type removal struct {
	top      string
	deadline time.Time
	moved    int // directories so far
}

// remove removes a directory: the top or one in it. It returns the first error.
func (r *removal) remove(dir string) error {
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // read only
	var first error
	for {
		entries, err := f.ReadDir(removeBatch)
		for _, e := range entries {
			if time.Now().After(r.deadline) {
				return fmt.Errorf("%s holds more than can be removed in a moment", r.top)
			}
			first = cmp.Or(first, ignoreMissing(r.removeEntry(dir, e)))
		}
		if errors.Is(err, io.EOF) {
			return cmp.Or(first, os.Remove(dir))
		}
		if err != nil {
			return cmp.Or(first, err)
		}
	}
}

// removeEntry removes an entry of a directory. A directory below the second level is moved up instead.
func (r *removal) removeEntry(dir string, e fs.DirEntry) error {
	path := filepath.Join(dir, e.Name())
	switch {
	case !e.IsDir():
		return os.Remove(path)
	case dir == r.top:
		return r.remove(path)
	}
	if err := os.Chmod(path, 0o700); err != nil { // a move writes to it, as its parent changes
		return err
	}
	r.moved++
	// A random name, as a plugin may have taken any that it can predict.
	return os.Rename(path, filepath.Join(r.top, strconv.FormatUint(rand.Uint64(), 10)))
}

// ignoreMissing drops the error of a removal that found nothing to remove.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
