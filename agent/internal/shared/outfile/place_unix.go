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

// Flags of open(2) that not all systems have.
const (
	noFollow = syscall.O_NOFOLLOW
	nonBlock = syscall.O_NONBLOCK
)

// maxLinks limits the symbolic links of a path, as on Linux; see path_resolution(7).
const maxLinks = 40

// Resolve returns the absolute path with all links resolved; the file need not exist. foreign says
// that other users can create files in its folder.
//
// In a foreign folder, another user could redirect the writing by a link. There a link at the end of
// the path is refused, and so is one before it unless it belongs to the user or to root.
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
		at = filepath.Join(folder, name) // folder has no links, so ".." means the same as for the kernel
		if name == "" || at == folder {
			continue
		}
		foreign = isForeign(folder)
		info, err := os.Lstat(at)
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			continue // opening the file reports what is missing
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

// isMagic reports whether a link in /proc leads to an open file without a name, as that of
// /dev/stdout may; see proc(5).
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

// isForeign reports whether users other than this one and root can create files in a folder. Write
// permission of the user's own group is ignored: on many systems it has no other members.
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

// isOwn reports whether this user owns a file.
func isOwn(info fs.FileInfo) bool { return owner(info) == os.Geteuid() }

// owner returns the user id of a file's owner, -1 if unknown.
func owner(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

// isPrivate reports whether the mode of a file keeps it from other users.
func isPrivate(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 == 0 }

// isUnread reports whether opening failed because the pipe has no reader; see fifo(7).
func isUnread(err error) bool { return errors.Is(err, syscall.ENXIO) }

// Lock locks an open file until it is closed, where the file system supports locks. It does not wait:
// its error is ErrLocked if another program has the lock.
func Lock(file *os.File) error {
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return nil
}

// Unlock unlocks a file that Lock has locked and that is about to be closed. Closing alone leaves it locked while a
// process that is being started has a copy of the descriptor, until its exec; see flock(2).
func Unlock(file *os.File) {
	_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN) // fails where the file system has no locks
}

// keepOwner sets owner and group to those of old.
func keepOwner(file *os.File, old fs.FileInfo) error {
	stat, ok := old.Sys().(*syscall.Stat_t)
	info, err := file.Stat()
	if err != nil || !ok {
		return err
	}
	if own, ok := info.Sys().(*syscall.Stat_t); ok && own.Uid == stat.Uid && own.Gid == stat.Gid {
		return nil // chown would need a privilege
	}
	return file.Chown(int(stat.Uid), int(stat.Gid))
}

// hasOtherNames reports whether a file has further hard links.
func hasOtherNames(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink > 1
}
