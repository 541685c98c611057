package process

import (
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Many are counted, and not each named.
func TestKillLines(t *testing.T) {
	t.Parallel()
	log := &journal{}
	lines := &killLog{log: slog.New(slog.NewTextHandler(log, nil))}
	for n := range maxKillLines + 5 {
		lines.add(procStat{pid: n, name: "x\x1b"})
	}
	lines.finish()
	if got := strings.Count(log.String(), "\n"); got != maxKillLines+1 || !strings.Contains(log.String(), "further=5") {
		t.Errorf("%d lines:\n%s", got, log)
	}
}

// A leftover is what comes from a plugin that has ended.
func TestLeftoversComeFromPluginsThatHaveEnded(t *testing.T) {
	f := NewReaper(true, "/x/agent3000000000", slog.New(slog.DiscardHandler))
	elsewhere := &Reaper{agent: 3000000001}
	var all []*Process
	for _, r := range []*Reaper{{}, elsewhere, f, {agent: f.agent}} {
		p := newTestProcess(sleeper(os.Getpid()), r)
		if r.agent == f.agent && r != f {
			p.origin.run = 77 // of a plugin that is none of the reaper's
		}
		if err := (runner{p}).Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	leftover := all[3]
	if got := f.leftovers(); len(got) != 1 || got[0].pid != leftover.PID() {
		t.Errorf("leftovers: %+v, want %d alone", got, leftover.PID())
	}
	f.Close()                                // or it reaps those that are no plugins of its own
	for _, p := range slices.Backward(all) { // the leftover before the plugin that would end it
		p.Kill()
		<-p.drained
		if how := p.Ending(); !strings.Contains(how, unix.SIGKILL.String()) {
			t.Errorf("ended: %s", how)
		}
	}
}
