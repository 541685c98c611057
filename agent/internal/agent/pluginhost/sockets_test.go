package pluginhost

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAgentsShareTheSocketDir(t *testing.T) {
	besideOthers(t)
	dir := filepath.Join(socketsAt(t), "made")
	const rounds = 50 // starting at the same moment takes luck
	for range rounds {
		var hosts [8]*Host
		var making sync.WaitGroup
		for i := range hosts {
			making.Go(func() {
				h, err := New(Options{SocketDir: dir})
				if err != nil {
					t.Error(err)
					return
				}
				hosts[i] = h
			})
		}
		making.Wait()
		if left := dirEntries(t, dir); len(left) != len(hosts) {
			t.Errorf("%d agents have %v", len(hosts), left)
		}
		for _, h := range hosts {
			if h != nil {
				h.Close()
			}
		}
		if left := dirEntries(t, dir); len(left) != 0 {
			t.Errorf("all agents are gone and %v is left", left)
		}
		if t.Failed() {
			return
		}
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestSweepLeavesWhatIsNotOurs(t *testing.T) {
	dir := socketsAt(t)
	for _, name := range []string{"agent1", "agent2/plugin-dir7", "other"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "agent-file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := New(Options{SocketDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
	if got := strings.Join(dirEntries(t, dir), " "); got != "agent-file other" {
		t.Errorf("left: %s", got)
	}
}

func TestSocketDirsThatCannotBe(t *testing.T) {
	for name, test := range map[string]struct {
		make func(t *testing.T, dir string) string
		want string
	}{
		"relative": {func(*testing.T, string) string { return "sockets" }, "is not an absolute path"},
		"too long": {func(_ *testing.T, dir string) string {
			return dir + strings.Repeat("x", maxSocketPath-madeUpBytes-len(dir)+1)
		}, "is too long by 1 bytes"},
		"a file": {func(t *testing.T, dir string) string {
			if err := os.WriteFile(dir+"/f", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return dir + "/f"
		}, "not a directory"},
		"open to others": {func(t *testing.T, dir string) string {
			if err := os.Chmod(dir, 0o701); err != nil {
				t.Fatal(err)
			}
			return dir
		}, "others have access to"},
		"a link": {func(t *testing.T, dir string) string {
			if err := os.Symlink(dir, dir+"/l"); err != nil {
				t.Fatal(err)
			}
			return dir + "/l"
		}, "is not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := New(Options{SocketDir: test.make(t, socketsAt(t))})
			if err == nil {
				h.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "plugin sockets: ") {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// The longest directory that is allowed is short enough for a socket.
func TestTheLongestSocketDirHoldsASocket(t *testing.T) {
	dir := socketsAt(t) + "/"
	dir += strings.Repeat("x", maxSocketPath-madeUpBytes-len(dir))
	h, _ := newTestHost(t, func(o *Options) { o.SocketDir = dir })
	passes(t, startSet(t, h, Spec{Name: "a", Validator: "echo"}).Groups()[0], 1)
}

// What a plugin has made unreadable is removed all the same.
func TestRemoveTree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	below := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(below, "c"), nil, 0o000); err != nil {
		t.Fatal(err)
	}
	for _, locked := range []string{below, filepath.Dir(below), dir} {
		if err := os.Chmod(locked, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := removeTree(dir, patience); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
	if err := removeTree(dir, patience); err != nil {
		t.Errorf("nothing is no trouble: %v", err)
	}
}

// However many directories stand in each other, the removal of them ends in time, and what is left
// the next one finds.
func TestRemoveDeepTree(t *testing.T) {
	besideOthers(t)
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.MkdirAll(filepath.Join(dir, "1"), 0o700); err != nil { // a name that the removal gives as well
		t.Fatal(err)
	}
	const levels = 600 // more than a path can name
	next, names := filepath.Join(dir, "next"), []string{"1", strings.Repeat("x", 32)}
	for n := range levels {
		err := errors.Join(os.Mkdir(next, 0o700), os.WriteFile(filepath.Join(next, "2"), nil, 0o600),
			os.Rename(filepath.Join(dir, "1"), filepath.Join(next, names[n%len(names)])),
			os.Rename(next, filepath.Join(dir, "1")))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := removeTree(dir, 0); err == nil || !strings.Contains(err.Error(), "more than can be removed") {
		t.Errorf("in no time: %v", err)
	}
	if err := removeTree(dir, time.Millisecond); err == nil {
		t.Error("all of it was removed in a millisecond")
	}
	if err := removeTree(dir, patience); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}

// Whoever removes the agent's directory, puts another into its place, or locks it out, does not keep it from starting plugins.
func TestTheSocketDirectoryIsMended(t *testing.T) {
	for name, harm := range map[string]func(h *Host) error{
		"removed":     func(h *Host) error { return os.RemoveAll(h.sockets.path) },
		"all removed": func(h *Host) error { return os.RemoveAll(filepath.Dir(h.sockets.path)) },
		"locked":      func(h *Host) error { return os.Chmod(h.sockets.path, 0) },
		"a file": func(h *Host) error {
			return errors.Join(os.RemoveAll(h.sockets.path), os.WriteFile(h.sockets.path, nil, 0o600))
		},
		"a link": func(h *Host) error {
			return errors.Join(os.RemoveAll(h.sockets.path), os.Symlink("/", h.sockets.path))
		},
		"another": func(h *Host) error {
			return errors.Join(os.RemoveAll(h.sockets.path), os.MkdirAll(h.sockets.path+"/a/b", 0o755))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := newTestHost(t, nil)
			set := startSet(t, h, Spec{Name: "a", Validator: "echo"})
			if err := harm(h); err != nil {
				t.Fatal(err)
			}
			passes(t, set.Groups()[0], 1)
			passes(t, startSet(t, h, Spec{Name: "b", Validator: "echo"}).Groups()[0], 1)
			if err := sweep(filepath.Dir(h.sockets.path), slog.New(slog.DiscardHandler)); err != nil { // as another agent does
				t.Fatal(err)
			}
			if _, err := os.Stat(h.sockets.path); err != nil {
				t.Errorf("the directory is not the agent's: %v", err)
			}
		})
	}
}

// TestSpareSocketDir: a directory that cannot be made again is replaced by the next, which is tidied up
// like the first.
func TestSpareSocketDir(t *testing.T) {
	base := socketsAt(t)
	gone, spare := filepath.Join(base, "a"), filepath.Join(base, "b")
	h, err := New(Options{SocketDir: filepath.Join(gone, "p"), SpareDirs: []string{spare}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(gone), os.WriteFile(gone, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if path, err := h.sockets.mend(); err != nil || filepath.Dir(path) != spare {
			t.Fatalf("got %s, %v", path, err)
		}
	}
	next, err := New(Options{SocketDir: filepath.Join(gone, "p"), SpareDirs: []string{spare}})
	if err != nil || filepath.Dir(next.sockets.path) != spare {
		t.Fatalf("a start: %+v, %v", next, err)
	}
	h.Close()
	next.Close()
	if left := dirEntries(t, spare); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
