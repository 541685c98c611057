package trustedpath

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links one path may go through, as in path_resolution(7).
const maxLinks = 40

// Resolve returns where the absolute path leads to, with no symbolic links in it. It refuses a path
// that others than root and the user with the given id could change: the file or folder at its end
// and every folder on its way must belong to one of the two, and group and others may not write to
// them. A folder with the sticky bit, such as /tmp, may be written to, as others can neither rename
// nor remove in it what is not theirs; and so may what is mounted read-only for all processes here.
//
// What is wrong with the owner or the mode is an *UntrustedError, which names all that others can write
// to; other errors are *fs.PathError.
func Resolve(path string, uid int) (string, error) {
	var writable []string
	real, err := walk(path, func(_, name string, st *unix.Stat_t) error {
		if err := checkOwner(name, st, uid); err != nil {
			return err
		}
		if isWritable(name, st) && !slices.Contains(writable, name) { // a link may lead back
			writable = append(writable, name)
		}
		return nil
	})
	if _, owner := errors.AsType[*UntrustedError](err); owner || len(writable) == 0 {
		return real, err
	}
	return "", &UntrustedError{writable[0], fmt.Sprintf("others than the owner can write to %s; chmod go-w %s",
		strings.Join(writable, ", "), strings.Join(writable, " "))}
}

// ResolveSecret is Resolve for a file that holds a secret: it also refuses one that others than its
// owner and its group may read.
func ResolveSecret(path string, uid int) (string, error) {
	real, err := Resolve(path, uid)
	if err != nil {
		return "", err
	}
	var st unix.Stat_t
	if err := unix.Lstat(real, &st); err != nil {
		return "", &fs.PathError{Op: "lstat", Path: real, Err: err}
	}
	if st.Mode&0o004 != 0 {
		return "", &UntrustedError{real, fmt.Sprintf("every user can read %s (mode %#o); chmod o-r %[1]s", real, st.Mode&0o777)}
	}
	return real, nil
}

// Folders returns the folders in which the names of the path are looked up, "/" first and each once,
// and the name in each. It goes as far as the path does, and checks nothing.
func Folders(path string) (names []Name) {
	seen := map[Name]bool{}
	_, _ = walk(path, func(folder, full string, _ *unix.Stat_t) error { // the rest of the path is not there
		name := Name{folder, filepath.Base(full)}
		if full != "/" && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
		return nil
	})
	return names
}

// A Name is an entry of a folder, which may not be there.
type Name struct{ Folder, Base string }

// walk follows a path. Visit is called for the root, for each name on the way with the folder in
// which it is looked up, and for names that are not there, then with no status.
func walk(path string, visit func(folder, full string, st *unix.Stat_t) error) (string, error) {
	if !filepath.IsAbs(path) {
		return "", &fs.PathError{Op: "resolve", Path: path, Err: unix.EINVAL}
	}
	var st unix.Stat_t
	if err := unix.Lstat("/", &st); err != nil {
		return "", &fs.PathError{Op: "lstat", Path: "/", Err: err}
	}
	if err := visit("/", "/", &st); err != nil {
		return "", err
	}
	at, rest := "/", strings.Split(path, "/")
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at) // which has no links in it
			continue
		}
		full := filepath.Join(at, name)
		if err := unix.Lstat(full, &st); err != nil {
			_ = visit(at, full, nil) // the error is that it is not there
			return "", &fs.PathError{Op: "lstat", Path: full, Err: err}
		}
		if err := visit(at, full, &st); err != nil {
			return "", err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFLNK {
			at = full
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "resolve", Path: path, Err: unix.ELOOP}
		}
		target, err := os.Readlink(full)
		if err != nil {
			return "", err
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return at, nil
}

// checkOwner checks the owner of one name; st is nil for one that does not exist.
func checkOwner(path string, st *unix.Stat_t, uid int) error {
	if st == nil || st.Uid == 0 || int(st.Uid) == uid {
		return nil
	}
	return &UntrustedError{path, fmt.Sprintf("%s belongs to %s, who could put something else there; "+
		"it must belong to root or to the agent's user", path, userName(st.Uid))}
}

// isWritable reports whether others than the owner can write to one name; st is nil for one that does
// not exist.
func isWritable(path string, st *unix.Stat_t) bool {
	if st == nil {
		return false
	}
	kind := st.Mode & unix.S_IFMT
	sticky := kind == unix.S_IFDIR && st.Mode&unix.S_ISVTX != 0
	return st.Mode&0o022 != 0 && !sticky && kind != unix.S_IFLNK && !isReadOnly(path)
}

// isReadOnly reports whether the path is on a file system that is mounted read-only for all processes
// here, like the config folder of a container. A service manager may mount a folder read-only for one
// service while others write to it, so the mount namespace must be that of process 1.
func isReadOnly(path string) bool {
	var st unix.Statfs_t
	if unix.Statfs(path, &st) != nil || st.Flags&unix.ST_RDONLY == 0 {
		return false
	}
	own, err := os.Readlink("/proc/thread-self/ns/mnt")
	first, firstErr := os.Readlink("/proc/1/ns/mnt")
	return err == nil && firstErr == nil && own == first
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "user " + id
}
