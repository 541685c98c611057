package daemon

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
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
	var err error
	if c.Admin.Mode != "" {
		if o.mode, err = fileMode(c.Admin.Mode); err != nil {
			return o, config.Problems{c.Problem("admin.mode", err.Error())} // which the config has checked
		}
	}
	if c.Admin.Group == "" {
		return o, nil
	}
	if o.group, err = LookupGroup(c.Admin.Group); err != nil {
		return o, config.Problems{c.Problem("admin.group", fmt.Sprintf("%v; make it with: groupadd --system %s; or name another", err, c.Admin.Group))}
	}
	return o, nil
}

// shared reports whether others than the agent's user may use the socket.
func (p adminOptions) shared() bool { return p.mode&0o077 != 0 }

// open listens in the first folder that can be used, or at the path of the config.
func (p adminOptions) open() (*unixSocket, error) {
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
	if over := len(path) - config.MaxSocketBytes; over > 0 {
		return nil, fmt.Errorf("admin socket: the path %s is %d bytes too long for a unix socket; "+
			"name a shorter one with --admin-socket, or a folder with a shorter path with the variable %s", path, over, runtimeDirVariable)
	}
	return socketFile{path: path, mode: p.mode, owner: -1, group: p.group, key: "admin", what: "admin socket", another: "--admin-socket"}.listen()
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
