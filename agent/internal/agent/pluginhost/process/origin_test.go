package process

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAgentNumber: only what the kernel keeps as a limit marks.
func TestAgentNumber(t *testing.T) {
	t.Parallel()
	for dir, want := range map[string]uint64{
		"/x/agent2147483648": 1 << 31, "/x/agent4294967294": 1<<32 - 2, "/x/agent4294967295": 0,
		"/x/agent2147483647": 0, "/x/agent": 0, "": 0, "/x/agent99999999999999999999": 0,
	} {
		if got := agentNumber(dir); got != want {
			t.Errorf("%s: %d, want %d", dir, got, want)
		}
	}
	shared := shortDir(t)
	for range 10 {
		d, err := OpenSocketDir([]string{shared}, slog.New(slog.DiscardHandler))
		if err != nil || agentNumber(d.Path()) == 0 || len(filepath.Base(d.Path())) > len("agent4294967295") {
			t.Fatalf("%+v, %v", d, err)
		}
		defer func() { _ = d.Close() }()
	}
	f := &Reaper{agent: 1 << 31}
	if one, two := f.nextOrigin(), f.nextOrigin(); one == two {
		t.Error("two runs have one origin")
	}
	var had unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_LOCKS, &had); err != nil {
		t.Fatal(err)
	}
	if got := originOf(os.Getpid()); got != (origin{}) {
		t.Errorf("this process comes from the plugin %+v; its limit is %d", got, had.Max)
	}
}
