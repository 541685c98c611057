package databasetest

import (
	"os"
	"os/exec"
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"
)

// RunsAlone runs the test in a process of its own, where a limit of files meets no file of "go test", and reports
// whether it did.
func RunsAlone(t *testing.T) bool {
	t.Helper()
	const variable = "STEPAGENT_TEST_ALONE"
	if os.Getenv(variable) != "" {
		return false
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	alone := exec.CommandContext(t.Context(), program, "-test.run", "^"+t.Name()+"$")
	alone.Env = append(os.Environ(), variable+"=1")
	if out, err := alone.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	return true
}

// LimitFiles lets no file of this process grow beyond the size in bytes, as on full disks, until lift is called
// or the test ends.
func LimitFiles(t *testing.T, size uint64) (lift func()) {
	t.Helper()
	signal.Ignore(unix.SIGXFSZ)
	var before unix.Rlimit
	set := func(limit unix.Rlimit) {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
			t.Error(err)
		}
	}
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	set(unix.Rlimit{Cur: size, Max: before.Max})
	lift = func() { set(before) }
	t.Cleanup(lift)
	return lift
}
