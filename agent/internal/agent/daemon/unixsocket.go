package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"
)

// A socketFile is a unix socket of the config: its path and who may use it.
type socketFile struct {
	path         string
	mode         fs.FileMode
	owner, group int // -1 for that of the process
	// For errors: the table of the config, what the socket is, and what names another path.
	key, what, another string
}

// fileMode returns a mode that is written in octal.
func fileMode(octal string) (fs.FileMode, error) {
	mode, err := strconv.ParseUint(octal, 8, 32)
	return fs.FileMode(mode), err
}

// LookupGroup returns the id of a group, by its name or its id.
func LookupGroup(name string) (int, error) {
	group, err := user.LookupGroup(name)
	if err != nil {
		group, err = user.LookupGroupId(name)
	}
	if err != nil {
		return 0, fmt.Errorf("this machine has no group %q", name)
	}
	return strconv.Atoi(group.Gid)
}

// lookupUser returns the id of a user, by its name or its id.
func lookupUser(name string) (int, error) {
	found, err := user.Lookup(name)
	if err != nil {
		found, err = user.LookupId(name)
	}
	if err != nil {
		return 0, fmt.Errorf("this machine has no user %q", name)
	}
	return strconv.Atoi(found.Uid)
}

func (f socketFile) String() string { return "unix:" + f.path }

func (f socketFile) interval() time.Duration { return addressInterval }

func (f socketFile) open(context.Context) (socket, error) {
	s, err := f.listen()
	if err != nil {
		return nil, err
	}
	return s, nil
}

// listen listens on the socket. It removes a stale one first; one that answers belongs to another
// agent.
func (f socketFile) listen() (*unixSocket, error) {
	folder := fs.FileMode(0o700)
	if f.mode&0o077 != 0 {
		folder = 0o755
	}
	if err := os.MkdirAll(filepath.Dir(f.path), folder); err != nil {
		return nil, f.failed(err)
	}
	if answers(f.path) == nil {
		return nil, fmt.Errorf("%s %s belongs to another agent that is running; give this one its own with %s", f.what, f.path, f.another)
	}
	if err := removeSocket(f.path); err != nil {
		return nil, f.failed(err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: f.path, Net: "unix"})
	if err != nil {
		return nil, f.failed(err)
	}
	listener.SetUnlinkOnClose(false) // the path may be another agent's by then
	err = f.setOwner()
	if err == nil {
		err = os.Chmod(f.path, f.mode)
	}
	s := &unixSocket{UnixListener: listener, path: f.path}
	if err == nil {
		s.file, err = os.Lstat(f.path)
	}
	if err != nil {
		_ = os.Remove(f.path)
		return nil, errors.Join(fmt.Errorf("%s: %w", f.what, err), listener.Close())
	}
	return s, nil
}

func (f socketFile) failed(err error) error {
	return fmt.Errorf("%s: %w; name another place with %s", f.what, err, f.another)
}

// setOwner gives the socket to its owner and its group where these are not those of the process: the
// unit forbids chown(2).
func (f socketFile) setOwner() error {
	if f.owner >= 0 && f.owner != os.Geteuid() {
		if err := os.Chown(f.path, f.owner, -1); err != nil {
			return fmt.Errorf("%s.owner: %w; only root can give a socket away: leave the key out and use the group", f.key, err)
		}
	}
	if f.group < 0 || f.group == os.Getegid() {
		return nil
	}
	if err := os.Chown(f.path, -1, f.group); err != nil {
		return fmt.Errorf("%s.group: %w; the agent's user must be in that group, and a service needs a drop-in with "+
			"SupplementaryGroups=, PrivateUsers=no and SystemCallFilter=@chown; or leave the key out and add people to the agent's own group", f.key, err)
	}
	return nil
}

// A unixSocket is a listening unix socket with the file that it made.
type unixSocket struct {
	*net.UnixListener
	path string
	file os.FileInfo
}

func (s *unixSocket) mayVanish() bool { return true }

// exists reports whether the path still leads to the socket.
func (s *unixSocket) exists() bool {
	info, err := os.Lstat(s.path)
	return err == nil && os.SameFile(info, s.file)
}

func (s *unixSocket) boundAddr() net.Addr { return textAddr{"unix:" + s.path} }

// Close stops listening and removes the file, unless another has its path by now.
func (s *unixSocket) Close() error {
	if s.exists() {
		_ = os.Remove(s.path) // an error cannot be handled
	}
	return s.UnixListener.Close()
}

// removeSocket removes a socket, and nothing else.
func removeSocket(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() == os.ModeSocket,
		info.Mode().Type() == os.ModeSymlink && isStale(path): // to the socket of an agent that was killed
		return os.Remove(path)
	default:
		return fmt.Errorf("%s is there and is no socket", path)
	}
}
