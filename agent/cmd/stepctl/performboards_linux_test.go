package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

// A lab is a real agent at many addresses, and a procedure that it lets pass.
type lab struct {
	*testing.T
	port  string
	steps string
	dir   string
}

// withoutPauses returns a procedure whose steps have no intervals.
func withoutPauses(steps int) string {
	var b strings.Builder
	for i := range steps {
		fmt.Fprintf(&b, `,{"step_id":%d,"timeout":60}`, i+1)
	}
	return `{"test_services":[` + b.String()[1:] + `]}`
}

// newLab starts an agent on all addresses of this machine, whose procedure has a number of steps.
func newLab(t *testing.T, steps int) *lab {
	t.Helper()
	l := &lab{T: t, dir: t.TempDir()}
	config := fmt.Sprintf("session.steps = %d\n[[validators]]\nname = \"sequence\"\nsettings = { last = %d }\n", steps, steps)
	l.steps = l.write("steps.json", withoutPauses(steps))
	port, stop, err := startRealAgent(l.write("agent.toml", config), "0.0.0.0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	l.port = port
	return l
}

func (l *lab) write(name, text string) string {
	l.Helper()
	path := filepath.Join(l.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		l.Fatal(err)
	}
	return path
}

// run performs the procedure against a number of boards, which must all pass, and returns the most memory
// that stepctl had, in MB.
func (l *lab) run(boards int, args ...string) (peak int64) {
	l.Helper()
	var lines strings.Builder
	for i := range boards {
		fmt.Fprintf(&lines, "board-%d 127.0.%d.%d:%s\n", i, i/250, i%250+1, l.port)
	}
	cmd := exec.Command("stepctl", append([]string{"run", l.steps, "--boards", l.write("boards", lines.String()), "--config", ""}, args...)...)
	cmd.Dir = l.TempDir()
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil || !strings.HasSuffix(out.String(), fmt.Sprintf("\npass: all %d boards passed\n", boards)) {
		l.Fatalf("error %v, it ends with %s", err, out.String()[max(0, out.Len()-1000):])
	}
	return int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) / 1024 //nolint:unconvert // the types differ between architectures
}

// Of runs that have ended nothing is kept that grows with them: 200 boards need as much memory as 20, where
// as many are at work at the same time, with reports.
func TestBoardsMemory(t *testing.T) {
	soaktest.Only(t)
	l := newLab(t, 100)
	reports := []string{"--jobs", "10", "--record", "{board}.jsonl", "--junit", "all.xml", "--summary", "all.json"}
	few, many := l.run(20, reports...), l.run(200, reports...)
	t.Logf("20 boards need %d MB, 200 boards %d MB", few, many)
	if many > few+few/2 {
		t.Errorf("20 boards need %d MB, 200 boards %d MB", few, many)
	}
}

// All of 200 boards at the same time, with a database.
func TestBoardsAtOnce(t *testing.T) {
	l := newLab(t, 10)
	few, many := l.run(2, "--db", "runs.db", "--junit", "all.xml"), l.run(200, "--db", "runs.db", "--junit", "all.xml")
	t.Logf("2 boards need %d MB, 200 at the same time %d MB", few, many)
	if many > 3*few {
		t.Errorf("2 boards need %d MB, 200 at the same time %d MB", few, many)
	}
}
