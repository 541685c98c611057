package spool_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
	"github.com/stepagent/stepagent/agent/internal/client/database/spool"
)

// A full disk cuts a line, and Append says which lines before it the file has.
func TestFullDisk(t *testing.T) {
	if databasetest.RunsAlone(t) {
		return
	}
	folder := t.TempDir()
	lines := strings.Repeat("{\"event\":1}\n", 100)
	databasetest.LimitFiles(t, 500)
	f, err := spool.Create(folder, header)
	must(t, err)
	taken, err := f.Append([]byte(lines))
	if !errors.Is(err, unix.EFBIG) || taken == 0 || !strings.HasSuffix(lines[:taken], "\n") {
		t.Errorf("%d bytes taken, error %v", taken, err)
	}
	must(t, f.Close())
	must(t, spool.Take(f.Path(), func(_ spool.Header, stored []byte) error {
		if string(stored) != lines[:taken] {
			t.Errorf("the file has %q, and Append has taken %q", stored, lines[:taken])
		}
		return nil
	}))
}

// A file whose first line cannot be written is removed.
func TestFullDiskAtTheBeginning(t *testing.T) {
	if databasetest.RunsAlone(t) {
		return
	}
	folder := t.TempDir()
	databasetest.LimitFiles(t, 20)
	if _, err := spool.Create(folder, header); !errors.Is(err, unix.EFBIG) {
		t.Errorf("error %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(folder, "*")); err != nil || len(left) > 0 {
		t.Errorf("left are %v, error %v", left, err)
	}
}
