package pluginhost

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// maxSocketPath is the longest path of a unix socket in bytes: sun_path, less the zero
	// at its end, see unix(7).
	maxSocketPath = 107
	// madeUpBytes is the most that random names below SocketDir add to the path of a socket:
	// the agent's directory, one for each process and the socket in it.
	madeUpBytes = len("/agent4294967295/plugin-dir4294967295/plugin4294967295")
	// agentPrefix begins the names of the agents' directories.
	agentPrefix = "agent"
)

// A socketDir is the directory of one living agent below the shared one. The agent holds a
// lock on it. The kernel drops the lock when the agent dies, however it does, and so tells
// the others that they may remove the directory.
type socketDir struct {
	all []string // the shared directories to choose from

	mu           sync.Mutex
	shared, path string
	lock         *os.File
}

// openAnySocketDir opens a directory in the first of the shared ones that can be used. Its error is
// that of the first.
func openAnySocketDir(all []string, log *slog.Logger) (*socketDir, error) {
	var first error
	for _, shared := range all {
		d, err := openSocketDir(shared, log)
		if err == nil {
			d.all = all
			return d, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

func openSocketDir(shared string, log *slog.Logger) (*socketDir, error) {
	if err := checkSharedDir(shared); err != nil {
		return nil, err
	}
	// One agent at a time, so that nobody takes a new directory for an abandoned one before
	// it is locked.
	turn, err := lockDir(shared, unix.LOCK_EX)
	if err != nil {
		return nil, fmt.Errorf("plugin sockets: %w", err)
	}
	defer func() { _ = turn.Close() }() // drops the lock; nothing was written
	if err := sweep(shared, log); err != nil {
		return nil, fmt.Errorf("plugin sockets: %w", err)
	}
	path, err := makeAgentDir(shared)
	if err != nil {
		return nil, fmt.Errorf("plugin sockets: %w", err)
	}
	lock, err := lockDir(path, unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("plugin sockets: %w", err), os.Remove(path))
	}
	return &socketDir{shared: shared, path: path, lock: lock}, nil
}

// makeAgentDir makes a directory with a number in its name that no other agent has, and that plugins
// can be marked with, see origin.
func makeAgentDir(shared string) (string, error) {
	for {
		n := minAgentNumber + rand.Uint64N(maxAgentNumber-minAgentNumber+1)
		path := filepath.Join(shared, agentPrefix+strconv.FormatUint(n, 10))
		if err := os.Mkdir(path, 0o700); !errors.Is(err, fs.ErrExist) {
			return path, err
		}
	}
}

// mend returns the directory. It makes it again where it was removed or replaced, or where the right
// to use it was taken away, as a plugin can: no process could be started until the agent is. Where
// that is not possible, as the folder of a user who has logged out is gone, it makes one of the same
// name in another of the shared directories. Plugins that run have their connections and do not need it.
func (d *socketDir) mend() (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.mendIn(d.shared)
	for _, shared := range d.all {
		if err == nil {
			return d.path, nil
		}
		if d.mendIn(shared) == nil {
			err = nil
		}
	}
	return d.path, err
}

// mendIn is mend in one of the shared directories. The caller holds mu.
func (d *socketDir) mendIn(shared string) error {
	path := filepath.Join(shared, filepath.Base(d.path))
	if info, err := os.Lstat(path); err == nil {
		if own, err := d.lock.Stat(); err == nil && os.SameFile(info, own) {
			return os.Chmod(path, 0o700)
		}
		if err := displace(path, info); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := checkSharedDir(shared); err != nil {
		return err
	}
	turn, err := lockDir(shared, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer func() { _ = turn.Close() }() // drops the lock; nothing was written
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	lock, err := lockDir(path, unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	_ = d.lock.Close() // of the one that is gone
	d.shared, d.path, d.lock = shared, path, lock
	return nil
}

// displace removes what stands where the directory should.
func displace(path string, info fs.FileInfo) error {
	if info.IsDir() {
		return removeTree(path, removeTime)
	}
	return os.Remove(path)
}

func (d *socketDir) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return errors.Join(removeTree(d.path, removeTime), d.lock.Close())
}

// checkSharedDir makes the shared directory, or checks the one that is there.
func checkSharedDir(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("plugin sockets: %q is not an absolute path", path)
	}
	if over := len(path) + madeUpBytes - maxSocketPath; over > 0 {
		return fmt.Errorf("plugin sockets: the path %s is too long by %d bytes; "+
			"choose a shorter one, a socket's path holds %d bytes", path, over, maxSocketPath)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("plugin sockets: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return fmt.Errorf("plugin sockets: %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return fmt.Errorf("plugin sockets: %s is not a directory", path)
	}
	if int(st.Uid) != os.Geteuid() || st.Mode&0o077 != 0 {
		return fmt.Errorf("plugin sockets: others have access to %s; it must belong to the agent's user with mode 0700", path)
	}
	return nil
}

// sweep removes the directories of agents that are dead.
func sweep(shared string, log *slog.Logger) error {
	entries, err := os.ReadDir(shared)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), agentPrefix) {
			continue
		}
		path := filepath.Join(shared, e.Name())
		lock, err := lockDir(path, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, os.ErrNotExist) {
			continue // its agent lives, or has just removed it
		}
		if err != nil {
			return err
		}
		endOrphans(path, log)
		_ = removeTree(path, removeTime) // what a plugin has made unremovable keeps no agent from starting
		if err := lock.Close(); err != nil {
			return err
		}
	}
	return nil
}

// lockDir opens a directory and locks it until the file is closed.
func lockDir(path string, how int) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
	}
}
