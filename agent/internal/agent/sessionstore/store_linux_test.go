package sessionstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// levels runs a test with both levels.
func levels(t *testing.T, test func(t *testing.T, powerCut bool)) {
	t.Helper()
	t.Run(Restart, func(t *testing.T) { test(t, false) })
	t.Run(PowerCut, func(t *testing.T) { test(t, true) })
}

// What was committed is there again, after a crash and after a clean stop, at either level.
func TestReopen(t *testing.T) {
	levels(t, func(t *testing.T, powerCut bool) {
		o := Options{Dir: filepath.Join(t.TempDir(), "sessions"), PowerCut: powerCut, RememberedReplies: 2, Agent: "1.2.3"}
		f := open(t, o)
		a := store(t, f, record("a", 1), 0)
		for i := 2; i <= 4; i++ {
			a = store(t, f, record("a", i), a)
		}
		store(t, f, record("b", 1), 0)
		store(t, f, record("gone", 1), 0)
		f.Forget("gone")
		last := record("a", 5)
		a = store(t, f, last, a)
		if _, err := commitTo(context.Background(), f, record("a", 6), a-1); !errors.Is(err, ErrConflict) {
			t.Errorf("a commit with an old revision: error %v", err)
		}
		if s := f.Status(); s.Sessions != 2 || s.Commits != 7 || s.LastCommit.IsZero() || s.Trouble != "" || s.Survives == Nothing {
			t.Errorf("status %+v", s)
		}
		must(t, f.log.file.Close()) // as a process that is killed
		must(t, f.disk.close())
		for _, how := range []string{"crash", "clean stop"} {
			o.PowerCut = !o.PowerCut // the level may change
			f = open(t, o)
			restored := f.Restored()
			if got := positions(restored); !cmp.Equal(got, map[string]int{"a": 5, "b": 1}) {
				t.Fatalf("after a %s there are %v", how, got)
			}
			if diff := cmp.Diff(*last, restored[0].Record, same); diff != "" {
				t.Errorf("after a %s (- committed, + restored)\n%s", how, diff)
			}
			if n := len(restored[0].Replies); n != 2 || restored[0].Times != TimesExact {
				t.Errorf("%d replies, times %d", n, restored[0].Times)
			}
			if s := f.Status(); s.Restored != 2 || s.Dropped != 0 || s.DroppedWhy != "" || s.Damaged != nil {
				t.Errorf("status %+v", s)
			}
			store(t, f, record("b", 1), restored[1].Revision)
			must(t, f.Close())
			must(t, f.Close())
			if _, err := commitTo(context.Background(), f, record("c", 1), 0); !errors.Is(err, ErrAway) {
				t.Errorf("a commit after Close: error %v", err)
			}
		}
		checkModes(t, o.Dir)
	})
}

// checkModes: the folder is closed to others, and holds the lock and one log.
func checkModes(t *testing.T, dir string) {
	t.Helper()
	info, err := os.Stat(dir)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v", info.Mode())
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 2 {
		t.Errorf("the folder holds %v", entries)
	}
	for _, e := range entries {
		info, err := e.Info()
		must(t, err)
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
}

// A folder that cannot be used ends the start with a sentence that says what to do.
func TestOpenFails(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	locked := filepath.Join(dir, "locked")
	f := open(t, Options{Dir: locked})
	defer func() { must(t, f.Close()) }()
	linked := filepath.Join(dir, "linked")
	must(t, os.Mkdir(linked, 0o700))
	must(t, os.Symlink(filepath.Join(dir, "file"), filepath.Join(linked, lockName)))
	for path, want := range map[string]string{
		filepath.Join(dir, "none", "sessions"): "no such file or directory; make the folder " + filepath.Join(dir, "none") + " first",
		filepath.Join(dir, "file"):             "not a directory; name a folder of the agent",
		locked:                                 fmt.Sprintf("another agent (process %d) keeps its sessions in %s; give each agent a folder of its own", os.Getpid(), locked),
		linked:                                 "path escapes from parent; name a folder that the agent can write to",
	} {
		if _, err := Open(Options{Dir: path}); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", path, err, want)
		}
	}
}

// A record that is too large is refused, and the session can go on.
func TestTooLarge(t *testing.T) {
	f := open(t, Options{disk: newMemoryDisk(), clock: testClock(1), MaxRecordBytes: 1000})
	large := record("a", 1)
	large.Memory[0].State = make([]byte, 1000)
	_, err := f.Begin(large, 0)
	if !errors.Is(err, ErrAway) || !strings.Contains(err.Error(), "and at most 1000 can be stored; ") {
		t.Errorf("error %v", err)
	}
	store(t, f, record("a", 1), 0)
}

// TestCloseUnlocks: the folder is free once the store is closed, even if a process that is being started still has
// a copy of the descriptor.
func TestCloseUnlocks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sessions")
	d, err := openFolder(dir)
	must(t, err)
	copied, err := unix.Dup(int(d.lock.Fd()))
	must(t, err)
	defer func() { must(t, unix.Close(copied)) }()
	must(t, d.close())
	d, err = openFolder(dir)
	must(t, err)
	must(t, d.close())
}
