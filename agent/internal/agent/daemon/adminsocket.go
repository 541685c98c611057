package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// adminInterval is how often the agent checks that its admin socket still exists.
const adminInterval = 500 * time.Millisecond

// adminOptions are where the admin socket is and who may use it.
type adminOptions struct {
	path  string   // that of the config; empty for one in the first usable of dirs
	name  string   // in dirs; where the config has a path, a link to that
	dirs  []string // for sockets
	mode  fs.FileMode
	group int // -1 for that of the process
}

// newAdminOptions returns the options of the admin socket in the config.
func newAdminOptions(c *config.Loaded, dirs []string, addr net.Addr) (adminOptions, error) {
	o := adminOptions{path: c.Admin.Socket, name: filepath.Base(adminSocket(c, dirs[0], addr)), dirs: dirs, mode: 0o600, group: -1}
	if o.path != "" {
		o.name = socketName(c.Port)
	}
	if c.Admin.Mode != "" {
		mode, err := strconv.ParseUint(c.Admin.Mode, 8, 32)
		if err != nil {
			return o, config.Problems{c.Problem("admin.mode", err.Error())} // which the config has checked
		}
		o.mode = fs.FileMode(mode)
	}
	if c.Admin.Group == "" {
		return o, nil
	}
	var err error
	if o.group, err = LookupGroup(c.Admin.Group); err != nil {
		return o, config.Problems{c.Problem("admin.group", fmt.Sprintf("this machine has no group %q; "+
			"make it with: groupadd --system %[1]s; or name another", c.Admin.Group))}
	}
	return o, nil
}

// LookupGroup returns the id of a group, by its name or its id.
func LookupGroup(name string) (int, error) {
	group, err := user.LookupGroup(name)
	if err != nil {
		group, err = user.LookupGroupId(name)
	}
	if err != nil {
		return 0, fmt.Errorf("there is no group %s", name)
	}
	return strconv.Atoi(group.Gid)
}

// shared reports whether others than the agent's user may use the socket.
func (p adminOptions) shared() bool { return p.mode&0o077 != 0 }

// An adminListener is a listening socket with the file that it made.
type adminListener struct {
	*net.UnixListener
	path string
	file os.FileInfo
}

// exists reports whether the path still leads to the socket.
func (k *adminListener) exists() bool {
	info, err := os.Lstat(k.path)
	return err == nil && os.SameFile(info, k.file)
}

// remove removes the socket, unless another has its path by now.
func (k *adminListener) remove() {
	if k.exists() {
		_ = os.Remove(k.path) // an error cannot be handled
	}
}

// open listens in the first folder that can be used, or at the path of the config.
func (p adminOptions) open() (*adminListener, error) {
	path := p.path
	dir, err := usable(p.dirs)
	if path == "" {
		if err != nil {
			return nil, err
		}
		path = filepath.Join(dir, p.name)
		if err := p.openFolder(dir); err != nil {
			return nil, err
		}
	} else if err == nil {
		p.link(filepath.Join(dir, p.name))
	}
	listener, err := listenUnix(path, p)
	if err != nil {
		return nil, err
	}
	file, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("admin socket: %w", err), listener.Close())
	}
	return &adminListener{listener, path, file}, nil
}

// openFolder lets other users enter the folder where they may use the socket. The other files in it
// have modes of their own.
func (p adminOptions) openFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil || !p.shared() {
		return err
	}
	return os.Chmod(dir, info.Mode().Perm()|0o055)
}

// link makes a link to a socket with a path of its own, by which commands find the agent after its
// config has changed. An agent without the link works too.
func (p adminOptions) link(link string) {
	if to, err := os.Readlink(link); err == nil && to != p.path && isStale(link) {
		_ = os.Remove(link)
	}
	_ = os.Symlink(p.path, link)
}

// unlink removes the link.
func (p adminOptions) unlink() {
	if p.path == "" {
		return
	}
	for _, dir := range p.dirs {
		link := filepath.Join(dir, p.name)
		if to, err := os.Readlink(link); err == nil && to == p.path {
			_ = os.Remove(link)
		}
	}
}

// listenUnix listens on the socket. It removes a stale one first; one that answers belongs to
// another agent.
func listenUnix(path string, p adminOptions) (*net.UnixListener, error) {
	const another = "name another place with --admin-socket"
	if over := len(path) - config.MaxSocketBytes; over > 0 {
		return nil, fmt.Errorf("admin socket: the path %s is %d bytes too long for a unix socket; "+
			"name a shorter one with --admin-socket, or a folder with a shorter path with the variable %s", path, over, runtimeDirVariable)
	}
	folder := fs.FileMode(0o700)
	if p.shared() {
		folder = 0o755
	}
	if err := os.MkdirAll(filepath.Dir(path), folder); err != nil {
		return nil, fmt.Errorf("admin socket: %w; %s", err, another)
	}
	if answers(path) == nil {
		return nil, fmt.Errorf("admin socket %s belongs to another agent that is running; give this one its own with --admin-socket", path)
	}
	if err := removeSocket(path); err != nil {
		return nil, fmt.Errorf("admin socket: %w; %s", err, another)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("admin socket: %w; %s", err, another)
	}
	listener.SetUnlinkOnClose(false)             // the path may be another agent's by then
	if p.group >= 0 && p.group != os.Getegid() { // which it has already; the unit forbids chown(2)
		if err = os.Chown(path, -1, p.group); err != nil {
			err = fmt.Errorf("admin.group: %w; the agent's user must be in that group, and a service needs a drop-in with "+
				"SupplementaryGroups=, PrivateUsers=no and SystemCallFilter=@chown; or leave the key out and add people to the agent's own group", err)
		}
	}
	if err == nil {
		err = os.Chmod(path, p.mode)
	}
	if err != nil {
		_ = os.Remove(path)
		return nil, errors.Join(fmt.Errorf("admin socket: %w", err), listener.Close())
	}
	return listener, nil
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

// watch restores the socket when it was removed: with its folder, as at the end of a user's last
// login, or by hand. It returns when the context ends.
func (ad *admin) watch(ctx context.Context) {
	every(ctx, adminInterval, ad.restore)
}

func (ad *admin) restore() {
	ad.mu.Lock()
	defer ad.mu.Unlock()
	if ad.socket.exists() {
		return
	}
	socket, err := ad.options.open()
	if err != nil {
		if ad.lost == "" {
			ad.log.Error("the admin socket has gone and cannot be made again; the agent tries again, "+
				"and a restart makes its folder", slog.String("socket", ad.socket.path), slog.String("error", err.Error()))
		}
		ad.lost = err.Error()
		return
	}
	ad.log.Warn("the admin socket had gone and is there again", slog.String("was", ad.socket.path), slog.String("socket", socket.path))
	_ = ad.socket.Close() // no command can find it
	ad.socket, ad.lost = socket, ""
	ad.serve(socket)
}
