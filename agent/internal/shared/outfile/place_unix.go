//go:build unix

package outfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Flags of open(2) that not every system has.
const (
	noFollow = syscall.O_NOFOLLOW
	nonBlock = syscall.O_NONBLOCK
)

// maxLinks is how many links a path may lead over, as on Linux; see path_resolution(7).
const maxLinks = 40

// Resolve returns where a path leads to, which need not be there yet, with the links gone
// over. foreign says that the last folder is one in which other users can make files.
//
// Links are where other users may turn the writing elsewhere: one at the end of the path is
// refused in a foreign folder, and one before it unless it is the user's own or root's.
func Resolve(path string) (at string, foreign bool, err error) {
	if strings.HasSuffix(path, "/") {
		return "", false, fmt.Errorf("%s is a folder; name a file", path)
	}
	at = "/"
	rest := strings.Split(path, "/")
	if !filepath.IsAbs(path) {
		if at, err = os.Getwd(); err != nil {
			return "", false, err
		}
	}
	for links := 0; len(rest) > 0; {
		name, folder := rest[0], at
		rest = rest[1:]
		at = filepath.Join(folder, name) // the folder has no links, so that ".." leads where it does for the system
		if name == "" || at == folder {
			continue
		}
		foreign = isForeign(folder)
		info, err := os.Lstat(at)
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			continue // what is not there is the opener's to tell
		}
		if foreign && (len(rest) == 0 || !isOwn(info) && owner(info) != 0) {
			return "", true, fmt.Errorf("%s is a symbolic link in a folder that others can write, and may lead to any file; name the file itself", at)
		}
		if links++; links > maxLinks {
			return "", true, fmt.Errorf("%s: %w", path, syscall.ELOOP)
		}
		target, err := os.Readlink(at)
		if err != nil {
			return "", true, err
		}
		if isMagic(folder, at) {
			return filepath.Join(append([]string{at}, rest...)...), false, nil
		}
		at, rest = folder, append(strings.Split(target, "/"), rest...)
		if filepath.IsAbs(target) {
			at = "/"
		}
	}
	return at, foreign, nil
}

// isMagic reports whether a link is one of /proc, such as that of /dev/stdout, which leads to
// an open file and to no name; see proc(5).
func isMagic(folder, link string) bool {
	if !strings.HasPrefix(folder, "/proc/") {
		return false
	}
	target, err := filepath.EvalSymlinks(link)
	if err != nil {
		return true
	}
	byLink, err := os.Stat(link)
	byName, errName := os.Stat(target)
	return err != nil || errName != nil || !os.SameFile(byLink, byName)
}

// isForeign reports whether users other than this one and root can make files in a folder.
// The user's own group does not count: on many systems it has no other member.
func isForeign(folder string) bool {
	info, err := os.Stat(folder)
	if err != nil {
		return false // opening a file in it fails
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	const groupWrites, othersWrite = 0o020, 0o002
	mode := info.Mode().Perm()
	return !isOwn(info) && stat.Uid != 0 || mode&othersWrite != 0 ||
		mode&groupWrites != 0 && stat.Gid != 0 && int(stat.Gid) != os.Getegid()
}

// isOwn reports whether a file is this user's.
func isOwn(info fs.FileInfo) bool { return owner(info) == os.Geteuid() }

// owner returns the user id of a file's owner, -1 where it is not known.
func owner(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

// isUnread reports whether an error of opening says that no program reads the pipe, fifo(7).
func isUnread(err error) bool { return errors.Is(err, syscall.ENXIO) }

// lock locks a file for this program. File systems that know no locks are no obstacle.
func lock(file *os.File) error {
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return nil
}

// keepOwner gives a file the owner and the group of an older one.
func keepOwner(file *os.File, old fs.FileInfo) error {
	stat, ok := old.Sys().(*syscall.Stat_t)
	info, err := file.Stat()
	if err != nil || !ok {
		return err
	}
	if own, ok := info.Sys().(*syscall.Stat_t); ok && own.Uid == stat.Uid && own.Gid == stat.Gid {
		return nil // no right is needed
	}
	return file.Chown(int(stat.Uid), int(stat.Gid))
}

// hasOtherNames reports whether a file may be found by more names than one.
func hasOtherNames(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink > 1
}
