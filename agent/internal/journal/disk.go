package journal

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/stepagent/stepagent/agent/internal/trail"
)

// files is the folder of the record, as the writer sees it.
type files interface {
	// create makes a new file, whose name sorts after those before it.
	create(dir string, now time.Time) (f file, name string, err error)
	// remove removes a file that could not be begun.
	remove(dir, name string)
	// prune removes the oldest files but the named one until the rest are no larger than most.
	prune(dir, current string, most int64) error
}

// A file is one file of the record.
type file interface {
	io.WriteCloser
	Truncate(size int64) error
	Sync() error
}

// disk is the real folder.
type disk struct{}

// prefix and layout make the names of files: the time in UTC, so that they sort by age.
const (
	prefix = "steps-"
	layout = "20060102T150405.000000000Z"
)

func (disk) create(dir string, now time.Time) (file, string, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, "", err
	}
	name := prefix + now.UTC().Format(layout) + trail.Suffix
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o640)
	if err != nil {
		return nil, "", err
	}
	return f, name, nil
}

func (disk) remove(dir, name string) {
	_ = os.Remove(filepath.Join(dir, name)) // it would be told by an empty file
}

func (disk) prune(dir, current string, most int64) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var names []string
	sizes, total := map[string]int64{}, int64(0)
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, prefix) || !strings.HasSuffix(name, trail.Suffix) || name == current || !entry.Type().IsRegular() {
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
	slices.Sort(names)
	for _, name := range names {
		if total <= most {
			return nil
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total -= sizes[name]
	}
	return nil
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
