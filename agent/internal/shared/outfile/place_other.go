//go:build !unix

package outfile

import (
	"io/fs"
	"os"
	"path/filepath"
)

// Flags of open(2) that this system lacks.
const noFollow, nonBlock = 0, 0

// Resolve returns the absolute path without links; the file need not exist. Permissions of folders
// are not checked on this system.
func Resolve(path string) (at string, foreign bool, err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	} else if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	at, err = filepath.Abs(path)
	return at, false, err
}

func isOwn(fs.FileInfo) bool { return true }

func isPrivate(fs.FileInfo) bool { return true }

func isUnread(error) bool { return false }

// Lock does nothing: files have no advisory locks here.
func Lock(*os.File) error { return nil }

// Unlock does nothing here.
func Unlock(*os.File) {}

// keepOwner does nothing: files have no Unix owners here.
func keepOwner(*os.File, fs.FileInfo) error { return nil }

func hasOtherNames(fs.FileInfo) bool { return false }
