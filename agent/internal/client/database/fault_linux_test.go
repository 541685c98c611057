package database_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
)

// TestFullDisk: a full disk is called so, also where a database is only read: its shared memory is a file.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		return // only root can mount
	}
	folder := t.TempDir()
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=1m"); errors.Is(err, unix.EPERM) {
		t.Skip("this container mounts nothing")
	} else {
		must(t, err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(folder, unix.MNT_DETACH)) })
	file := filepath.Join(folder, "runs.db")
	must(t, databasetest.Open(t, file).Close())
	if err := os.WriteFile(filepath.Join(folder, "fill"), make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk has room: %v", err)
	}
	_, err := database.Open(t.Context(), file)
	if !errors.Is(err, database.ErrAway) || !strings.HasSuffix(err.Error(), "runs.db cannot grow: the disk is full; free some space") {
		t.Errorf("error %v", err)
	}
}
