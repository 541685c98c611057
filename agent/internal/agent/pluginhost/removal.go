package pluginhost

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// removeTime is how long a stop or a start goes on removing what a plugin has put into its
	// directory; the next start goes on with the rest.
	removeTime = 100 * time.Millisecond
	// removeBatch is how many entries of a directory are read at once.
	removeBatch = 256
)

// removeTree removes a directory and what is in it within so much time, also where a plugin has
// taken the right to do so away from the user that both are of. However deep the directories stand
// in each other, it needs no more than one at a time, as each that is in another is moved up first:
// os.RemoveAll holds a descriptor for each.
func removeTree(path string, within time.Duration) error {
	r := &removal{top: path, until: time.Now().Add(within)}
	for {
		before := r.moved
		err := r.remove(path)
		// What has been moved up while the directory was read may not have been among it.
		if !errors.Is(err, unix.ENOTEMPTY) || r.moved == before {
			return gone(err)
		}
	}
}

// A removal is that of one directory.
type removal struct {
	top   string
	until time.Time
	moved int // directories so far
}

// remove removes the directory, whose directories are moved up unless it is the top. The error is
// the first.
func (r *removal) remove(dir string) error {
	if err := os.Chmod(dir, 0o700); err != nil { // before it is read
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
			if time.Now().After(r.until) {
				return fmt.Errorf("%s holds more than can be removed in a moment", r.top)
			}
			first = cmp.Or(first, gone(r.clear(dir, e)))
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return cmp.Or(first, err)
			}
			return cmp.Or(first, os.Remove(dir))
		}
	}
}

// clear removes an entry of the directory, or moves it up.
func (r *removal) clear(dir string, e fs.DirEntry) error {
	path := filepath.Join(dir, e.Name())
	switch {
	case !e.IsDir():
		return os.Remove(path)
	case dir == r.top:
		return r.remove(path)
	}
	if err := os.Chmod(path, 0o700); err != nil { // it is written to, as what is above it changes
		return err
	}
	for {
		r.moved++
		err := os.Rename(path, filepath.Join(r.top, strconv.Itoa(r.moved)))
		taken := errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTDIR) // ErrExist is ENOTEMPTY, too
		if !taken || time.Now().After(r.until) {
			return err
		}
	}
}

// gone is the error of a removal, but for that of what is not there.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
