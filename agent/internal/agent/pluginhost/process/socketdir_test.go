package process

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

func open(candidates ...string) (*SocketDir, error) {
	return OpenSocketDir(candidates, slog.New(slog.DiscardHandler))
}

func TestAgentsShareTheSocketDir(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(shortDir(t), "made")
	rounds := soaktest.Repetitions(t, 5000, 20) // starting at the same moment takes luck
	for range rounds {
		var dirs [8]*SocketDir
		var making sync.WaitGroup
		for i := range dirs {
			making.Go(func() {
				h, err := open(dir)
				if err != nil {
					t.Error(err)
					return
				}
				dirs[i] = h
			})
		}
		making.Wait()
		if left := dirEntries(t, dir); len(left) != len(dirs) {
			t.Errorf("%d agents have %v", len(dirs), left)
		}
		for _, h := range dirs {
			if h != nil {
				_ = h.Close()
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

func TestOtherFilesAreLeftAlone(t *testing.T) {
	dir := shortDir(t)
	for _, name := range []string{"agent1", "agent2/plugin-dir7", "other"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "agent-file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = h.Close()
	if got := strings.Join(dirEntries(t, dir), " "); got != "agent-file other" {
		t.Errorf("left: %s", got)
	}
}

// TestLockedAwaySocketDir: a directory that a plugin of a dead agent has taken the permissions from is removed by
// the next agent. To one that runs as root it makes no difference.
func TestLockedAwaySocketDir(t *testing.T) {
	dir := shortDir(t)
	if err := os.Mkdir(filepath.Join(dir, "agent1"), 0o000); err != nil {
		t.Fatal(err)
	}
	h, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = h.Close()
	if got := dirEntries(t, dir); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

func TestSocketDirsThatCannotBe(t *testing.T) {
	for name, test := range map[string]struct {
		make func(t *testing.T, dir string) string
		want string
	}{
		"relative": {func(*testing.T, string) string { return "sockets" }, "is not an absolute path"},
		"too long": {func(_ *testing.T, dir string) string {
			return dir + strings.Repeat("x", maxSocketPath-addedBytes-len(dir)+1)
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
			h, err := open(test.make(t, shortDir(t)))
			if err == nil {
				_ = h.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "plugin sockets: ") {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// TestSpareSocketDir: a directory that cannot be made again is replaced by the next, which is tidied up
// like the first.
func TestSpareSocketDir(t *testing.T) {
	base := shortDir(t)
	gone, spare := filepath.Join(base, "a"), filepath.Join(base, "b")
	h, err := open(filepath.Join(gone, "p"), spare)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(gone), os.WriteFile(gone, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if path, err := h.Repair(); err != nil || filepath.Dir(path) != spare {
			t.Fatalf("got %s, %v", path, err)
		}
	}
	next, err := open(filepath.Join(gone, "p"), spare)
	if err != nil || filepath.Dir(next.Path()) != spare {
		t.Fatalf("a start: %+v, %v", next, err)
	}
	_ = h.Close()
	_ = next.Close()
	if left := dirEntries(t, spare); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
