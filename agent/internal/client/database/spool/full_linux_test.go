package spool_test

import (
	"errors"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/client/database/spool"
)

// limitFiles lets no file of this process grow beyond the size, as on a full disk, until the end of the test.
func limitFiles(t *testing.T, size uint64) {
	t.Helper()
	signal.Ignore(unix.SIGXFSZ)
	var before unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &before))
	must(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: before.Max}))
	t.Cleanup(func() { must(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &before)) })
}

// A full disk cuts a line, and Append says which lines before it the file has.
func TestFullDisk(t *testing.T) {
	folder := t.TempDir()
	lines := strings.Repeat("{\"event\":1}\n", 100)
	limitFiles(t, 500)
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
	folder := t.TempDir()
	limitFiles(t, 20)
	if _, err := spool.Create(folder, header); !errors.Is(err, unix.EFBIG) {
		t.Errorf("error %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(folder, "*")); err != nil || len(left) > 0 {
		t.Errorf("left are %v, error %v", left, err)
	}
}
