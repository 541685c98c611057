package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bombProcesses is what the plugin with the bomb may add to its user's processes.
const bombProcesses = 32

// Root's fork bomb, which no limit of the kernel stops, is killed with all it has started.
// For another user the kernel does, and watchTaskCount has nothing to do.
func TestP09ForkBombOfRoot(t *testing.T) {
	p := newTestProcess(exec.Command("/bin/sh", "-c", "while :; do /bin/sleep "+nap(os.Getpid())+" & done"),
		newTestReaper())
	if err := (runner{p}).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	go p.watchTaskCount(bombProcesses)
	select {
	case <-p.drained:
	case <-time.After(patience):
		t.Error("it is not stopped")
		p.Kill()
	}
	if how := p.Ending(); !strings.Contains(how, "processes and threads, and 32 are allowed") {
		t.Errorf("ended: %s", how)
	}
	eventually(t, "all it has started has ended", func() bool { return napping() == 0 })
}

// What has left the session, and even what has lost its parents, counts and ends with the rest.
func TestP09ForkBombOfRootThatScatters(t *testing.T) {
	for _, kind := range []string{"scatters", "scatters-orphans"} {
		t.Run(kind, func(t *testing.T) {
			bomb, dir := exec.Command(os.Args[0], "plugin", kind), t.TempDir()
			bomb.Env = []string{socketDirVariable + "=" + dir}
			p := newTestProcess(bomb, newTestReaper())
			p.dir = dir
			if err := (runner{p}).Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				p.Kill()
				p.killDescendants(p.descendants())
			})
			go p.watchTaskCount(bombProcesses)
			select {
			case <-p.exited:
			case <-time.After(patience):
				t.Fatal("it is not stopped")
			}
			if how := p.Ending(); !strings.Contains(how, "processes and threads, and 32 are allowed") {
				t.Errorf("ended: %s", how)
			}
			eventually(t, "all it has started has ended", func() bool { return napping() == 0 })
		})
	}
}

// The processes that others had, and have no more, are not the plugin's to have: it starts as many
// as have ended elsewhere, and the machine as a whole has no more than before.
func TestP09ForkBombOfRootWhileOthersEnd(t *testing.T) {
	t.Parallel()
	const many = 2 * bombProcesses
	others := exec.Command("/bin/sh", "-c", fmt.Sprintf("trap : TERM; for i in $(seq %d); do sleep 3601 & done; echo there; wait; wait", many))
	others.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said, err := others.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := others.Start(); err != nil {
		t.Fatal(err)
	}
	end := sync.OnceFunc(func() {
		_ = unix.Kill(-others.Process.Pid, unix.SIGTERM) // it was there
		_ = others.Wait()                                // which comes when none is left, and says so
	})
	t.Cleanup(end)
	if _, err := said.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	word := filepath.Join(t.TempDir(), "go")
	p := newTestProcess(exec.Command("/bin/sh", "-c", fmt.Sprintf("while ! [ -e %s ]; do /bin/sleep 0.05; done; for i in $(seq %d); do /bin/sleep %s & done; wait",
		word, many, nap(os.Getpid()))), newTestReaper())
	if err := (runner{p}).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	go p.watchTaskCount(bombProcesses)
	time.Sleep(5 * taskCountInterval) // it has seen how many tasks there are
	end()
	if err := os.WriteFile(word, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.drained:
	case <-time.After(3 * patience): // a look at each task waits for many times what the last one took
		t.Error("it is not stopped")
		p.Kill()
	}
	if how := p.Ending(); !strings.Contains(how, "processes and threads, and 32 are allowed") {
		t.Errorf("ended: %s", how)
	}
	eventually(t, "all it has started has ended", func() bool { return napping() == 0 })
}
