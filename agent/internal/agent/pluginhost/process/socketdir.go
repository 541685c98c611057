package process

import (
	"cmp"
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
	// addedBytes is the most that random names below the shared directory add to the path of a
	// socket: the agent's directory, one for each process and the socket in it.
	addedBytes = len("/agent4294967295/plugin-dir4294967295/plugin4294967295")
	// agentPrefix begins the names of the agents' directories.
	agentPrefix = "agent"
)

// A SocketDir is the directory for the sockets of one running agent, below a directory that agents
// share. The agent holds a lock on it. The kernel drops the lock when the agent dies, which tells
// other agents that they may remove the directory.
type SocketDir struct {
	candidates []string // the shared directories, in order of preference

	mu           sync.Mutex // guards what follows
	shared, path string
	lock         *os.File
}

// OpenSocketDir makes the agent's directory in the first shared one that can be used, and removes
// what dead agents left there. Its error is that of the first candidate.
func OpenSocketDir(candidates []string, log *slog.Logger) (*SocketDir, error) {
	var first error
	for _, shared := range candidates {
		d, err := openSocketDir(shared, log)
		if err == nil {
			d.candidates = candidates
			return d, nil
		}
		first = cmp.Or(first, fmt.Errorf("plugin sockets: %w", err))
	}
	return nil, first
}

func openSocketDir(shared string, log *slog.Logger) (*SocketDir, error) {
	sharedLock, err := lockShared(shared)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sharedLock.Close() }() // nothing was written
	if err := removeDeadAgents(shared, log); err != nil {
		return nil, err
	}
	for {
		// A number that no other agent has, with which plugins can be marked: see origin.
		n := minAgentNumber + rand.Uint64N(maxAgentNumber-minAgentNumber+1)
		path := filepath.Join(shared, agentPrefix+strconv.FormatUint(n, 10))
		lock, err := makeLocked(path)
		if err == nil {
			return &SocketDir{shared: shared, path: path, lock: lock}, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
}

// lockShared checks the shared directory and locks it, so that no agent takes the new directory of
// another for an abandoned one before it is locked.
func lockShared(shared string) (*os.File, error) {
	if err := checkSharedDir(shared); err != nil {
		return nil, err
	}
	return lockDir(shared, unix.LOCK_EX)
}

// makeLocked makes a directory and locks it.
func makeLocked(path string) (lock *os.File, err error) {
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, err
	}
	if lock, err = lockDir(path, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		err = errors.Join(err, os.Remove(path))
	}
	return lock, err
}

// Path returns the agent's directory.
func (d *SocketDir) Path() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.path
}

// Repair returns the agent's directory, and first makes it again where it was removed, replaced or
// locked away, as a plugin can do. Where that fails, as when the runtime directory of a user who has
// logged out is gone, it makes one of the same name in another shared directory. Plugins that run
// have their connections and do not need it.
func (d *SocketDir) Repair() (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.repairIn(d.shared)
	for _, shared := range d.candidates {
		if err == nil || d.repairIn(shared) == nil {
			return d.path, nil
		}
	}
	return d.path, err
}

// repairIn is Repair in one of the shared directories. The caller holds mu.
func (d *SocketDir) repairIn(shared string) error {
	path := filepath.Join(shared, filepath.Base(d.path))
	if info, err := os.Lstat(path); err == nil {
		if own, err := d.lock.Stat(); err == nil && os.SameFile(info, own) {
			return os.Chmod(path, 0o700)
		}
		remove := os.Remove
		if info.IsDir() {
			remove = func(path string) error { return removeTree(path, removeTime) }
		}
		if err := remove(path); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	sharedLock, err := lockShared(shared)
	if err != nil {
		return err
	}
	defer func() { _ = sharedLock.Close() }() // nothing was written
	lock, err := makeLocked(path)
	if err != nil {
		return err
	}
	_ = d.lock.Close() // of the directory that is gone
	d.shared, d.path, d.lock = shared, path, lock
	return nil
}

// Close removes the agent's directory.
func (d *SocketDir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return errors.Join(removeTree(d.path, removeTime), d.lock.Close())
}

// checkSharedDir makes the shared directory, or checks the one that is there.
func checkSharedDir(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%q is not an absolute path", path)
	}
	if over := len(path) + addedBytes - maxSocketPath; over > 0 {
		return fmt.Errorf("the path %s is too long by %d bytes; "+
			"choose a shorter one, a socket's path holds %d bytes", path, over, maxSocketPath)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return fmt.Errorf("%s is not a directory", path)
	}
	if int(st.Uid) != os.Geteuid() || st.Mode&0o077 != 0 {
		return fmt.Errorf("others have access to %s; it must belong to the agent's user with mode 0700", path)
	}
	return nil
}

// removeDeadAgents removes the directories of agents that have died, and kills what their plugins
// left behind.
func removeDeadAgents(shared string, log *slog.Logger) error {
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
		if errors.Is(err, fs.ErrPermission) && os.Chmod(path, 0o700) == nil { // a plugin has locked it away
			lock, err = lockDir(path, unix.LOCK_EX|unix.LOCK_NB)
		}
		switch {
		case errors.Is(err, unix.EWOULDBLOCK), errors.Is(err, fs.ErrNotExist):
			continue // its agent runs, or has just removed it
		case errors.Is(err, fs.ErrPermission):
			log.Warn("a directory of plugin sockets that may be left from an earlier agent cannot be opened; remove it",
				slog.Any("error", err))
			continue
		case err != nil:
			return err
		}
		killLeftoversOf(path, log)
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
	if err = uninterrupted(func() error { return unix.Flock(int(f.Fd()), how) }); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}
