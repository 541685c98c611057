package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
)

// Two real agents publish what they judge and answer; what they have judged is in the database once, and
// a config that one of them refuses stops the others.
func TestFleetOfRealAgents(t *testing.T) {
	t.Parallel() // it mostly waits
	node, db := natstest.Server(t), databasetest.File(t)
	stepctl := func(want int, args ...string) string {
		t.Helper()
		cmd := exec.Command("stepctl", args...)
		cmd.Env = append(os.Environ(), "STEPCTL_NATS_URL="+node.URL, "STEPCTL_DB="+db)
		out, err := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != want {
			t.Fatalf("stepctl %s: exit code %d (%v), want %d\n%s", strings.Join(args, " "), code, err, want, out)
		}
		return string(out)
	}
	stepctl(exitPassed, "collect", "--create", "--once", "--fleet", "lab")
	procedure := filepath.Join(t.TempDir(), "steps.json")
	if err := os.WriteFile(procedure, []byte(withoutPauses(10)), 0o600); err != nil {
		t.Fatal(err)
	}
	configs := map[string]string{}
	for _, board := range []string{"a", "b"} {
		configs[board] = filepath.Join(t.TempDir(), "agent.toml")
		text := fmt.Sprintf("[record]\nenabled = true\ndir = %q\n[nats]\nurl = [%q]\n[fleet]\nname = \"lab\"\nboard = %q\nresults = true\ncontrol = true\n",
			t.TempDir(), node.URL, board)
		if err := os.WriteFile(configs[board], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		port, stop, err := startRealAgent(configs[board], "127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		stepctl(exitPassed, "run", procedure, "--host", "127.0.0.1", "--port", port, "--session", "night-"+board)
	}
	steps := databasetest.Open(t, db)
	var passed, sessions int
	for end := time.Now().Add(time.Minute); sessions < 2; {
		if time.Now().After(end) {
			t.Fatalf("%d steps and %d sessions within a minute", passed, sessions)
		}
		stepctl(exitPassed, "collect", "--once", "--fleet", "lab")
		for query, into := range map[string]*int{
			"SELECT count(*) FROM agent_steps WHERE error_code = 0 AND session LIKE 'night-%'":      &passed,
			"SELECT count(*) FROM agent_sessions WHERE verdict = 'pass' AND session LIKE 'night-%'": &sessions,
		} {
			if err := steps.Read().QueryRowContext(context.Background(), query).Scan(into); err != nil {
				t.Fatal(err)
			}
		}
	}
	if rows := stepctl(exitPassed, "db", "steps", "--csv", "--session", "night-a"); passed == 0 || strings.Count(rows, ",a,lab,night-a,") != passed/2 {
		t.Errorf("%d steps of both boards, and of a\n%s", passed, rows)
	}
	out := stepctl(exitPassed, "boards", "--fleet", "lab", "--within", "3s")
	if !strings.Contains(out, "\na      1.2.3  good    sequence, min_timeout") || !strings.Contains(out, "\nb ") || !strings.Contains(out, "none") {
		t.Error(out)
	}
	if out := stepctl(exitPassed, "boards", "reload", "--fleet", "lab", "--within", "3s"); out != "a: reloaded\nb: reloaded\n2 boards reloaded\n" {
		t.Error(out)
	}
	if err := os.WriteFile(configs["a"], []byte("port = 0.5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out = stepctl(exitFailed, "boards", "reload", "--fleet", "lab", "--within", "3s")
	if !strings.HasPrefix(out, "a: refused: "+configs["a"]+":1:") || !strings.HasSuffix(out, "0 of 2 boards reloaded; stopped at a; not asked: b\n") {
		t.Error(out)
	}
}
