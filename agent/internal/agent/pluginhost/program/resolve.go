package program

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/shared/trustedpath"
)

// Resolve returns the file that the path of a plugin leads to, with no symbolic link in it. That file
// is checked, executed and shown until the next reload, wherever the links lead by then. Resolve
// refuses a file into which a user other than root and the agent's could put other code, now or later;
// see package trustedpath.
func Resolve(path string) (string, error) {
	real, err := trustedpath.Resolve(path, os.Geteuid())
	_, untrusted := errors.AsType[*trustedpath.UntrustedError](err)
	switch {
	case untrusted:
		return "", err
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR):
		missing, named := errors.AsType[*fs.PathError](err)
		if info, lstatErr := os.Lstat(path); named && lstatErr == nil && info.Mode()&fs.ModeSymlink != 0 {
			return "", fmt.Errorf("%s is a symbolic link, and there is no file %s; correct the link or install the plugin",
				path, missing.Path)
		}
		return "", fmt.Errorf("there is no file %s; correct the path or install the plugin", path)
	case err != nil:
		return "", fmt.Errorf("%w; the agent's user needs access to it", err)
	}
	return real, checkExecutable(real)
}

// checkExecutable says why the agent's user may not execute the file at a path without links.
func checkExecutable(path string) error {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder; name the program in it", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a file", path)
	}
	var mount unix.Statfs_t // ST_NOEXEC is also set by NoExecPaths= in systemd.exec(5)
	err = unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS)
	switch {
	case err == nil:
		return nil
	case unix.Statfs(path, &mount) == nil && mount.Flags&unix.ST_NOEXEC != 0:
		return fmt.Errorf("%s is on a file system that is mounted noexec, from which nothing is executed; "+
			"install it elsewhere, or mount that one with exec", path)
	case info.Mode().Perm()&0o111 == 0o111:
		return fmt.Errorf("%s may not be executed, although its mode allows it: %w; an access control list (getfacl), "+
			"or a security module such as AppArmor or SELinux, forbids it", path, err)
	default:
		return fmt.Errorf("%s is not executable; chmod 755 %s", path, path)
	}
}

// openRegular opens a regular file to read it, with further flags of open(2). A plugin may have
// replaced its file by a named pipe, for instance, and to open or read that might block forever.
func openRegular(path string, flags int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|flags, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a file")
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
