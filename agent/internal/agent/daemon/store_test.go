package daemon_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// storing returns a config whose sessions survive a restart, in a folder.
func storing(dir string) string {
	return fmt.Sprintf("port = 0\n[session]\nsurvives = \"restart\"\ndir = %q\n", dir)
}

// performAnew performs a step of the session bench over a new connection.
func performAnew(t *testing.T, a *daemon.Agent, id int) {
	t.Helper()
	conn, err := net.Dial("tcp", a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	perform(t, conn, fmt.Sprintf(`{"step_id":%d,"timeout":5,"session":"bench","req":%d}`, id, id))
}

// TestSessionsSurviveStops: a client goes on with its session at the next agent, also after a start that
// failed once the folder was open.
func TestSessionsSurviveStops(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "sessions")
	for id := 1; id <= 3; id++ {
		o, file := options(t, storing(dir))
		a, err := daemon.Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		performAnew(t, a, id)
		status := a.Status()
		if s := status.Store; s.Survives != config.SurvivesRestart || s.Dir != dir || s.Sessions != 1 || s.LastCommit.IsZero() ||
			s.Restored != min(id-1, 1) || s.Dropped != 0 || len(status.Trouble) > 0 {
			t.Errorf("step %d: the store is %+v, trouble %v", id, s, status.Trouble)
		}
		if err := a.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		write(t, file, storing(dir)+"[[validators]]\nname = \"none\"\n")
		if _, err := daemon.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "validators[0].name") {
			t.Errorf("step %d: the start with an unknown validator: %v", id, err)
		}
	}
}

// TestFolderOfSessions: an agent whose folder cannot be had does not start, and check-config has warned of
// that or of its mode.
func TestFolderOfSessions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	write(t, file, "")
	for _, name := range []string{"private", "open"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "open"), 0o750); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		dir, warning string
		starts       bool
	}{
		{filepath.Join(dir, "private"), "", true},
		{filepath.Join(dir, "new"), "", true},
		{filepath.Join(dir, "open"), "session.dir: other users may use " + dir + "/open, whose mode is 0750; run chmod 700 " + dir + "/open", true},
		{file, "session.dir: " + file + " is not a folder; name another, or remove it", false},
		{file + "/sessions", "cannot look at the folder", false},
		{filepath.Join(dir, "none", "sessions"), "session.dir: there is no folder " + dir + "/none to make sessions in", false},
	} {
		o, _ := options(t, storing(tt.dir))
		c, err := o.Load()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(daemon.CheckSessionDir(c), "; "); !strings.Contains(got, tt.warning) || (got == "") != (tt.warning == "") {
			t.Errorf("%s: the warning is %q, want %q", tt.dir, got, tt.warning)
		}
		a, err := daemon.Start(t.Context(), o)
		if err == nil {
			err = a.Stop(t.Context())
		}
		if (err == nil) != tt.starts || err != nil && !strings.Contains(err.Error(), "agent.toml:4:1: session.dir: ") {
			t.Errorf("%s: %v, want a start: %t", tt.dir, err, tt.starts)
		}
	}
}
