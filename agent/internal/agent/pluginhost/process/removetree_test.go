package process

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

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
	t.Parallel()
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
