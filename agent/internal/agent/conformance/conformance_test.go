package conformance_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/agent/conformance"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

// undeclared is what is said of a validator that does not declare what it reads.
const undeclared = "ok: what it reads: it declares nothing: it is sent everything and asked about every step"

// TestSoundPlugins: all validators of a sound plugin are put to every law that shows from outside.
func TestSoundPlugins(t *testing.T) {
	t.Parallel()
	sessions := soaktest.Repetitions(t, 100*allSessions, fewSessions)
	for kind, test := range map[string]struct {
		subject    conformance.Subject
		validators []string
		reads      string
		lines      int // for each validator
	}{
		"sound": {conformance.Subject{Settings: []byte(`{"limit":5}`)},
			[]string{"ok: validator a: it takes its settings: a test", "ok: validator b: it takes its settings: a test"}, undeclared, 15},
		"raw declares": {conformance.Subject{Sessions: sessions}, []string{"ok: validator a: it takes its settings"}, "ok: what it reads: step_id, data; verdicts are kept", 16},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l, sound := check(t, kind, test.subject)
			text := l.String()
			if n := 1 + len(test.validators)*test.lines; !sound || l.progress == 0 || len(l.lines) != n {
				t.Errorf("sound %t, progress told %d times, want %d lines:\n%s", sound, l.progress, n, text)
			}
			for _, line := range l.lines {
				if line.State != conformance.OK {
					t.Errorf("%+v", line)
				}
			}
			for _, want := range append(test.validators, "ok: purity: ", test.reads) {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			if strings.Contains(text, "ok: inputs: ") == (test.reads == undeclared) {
				t.Errorf("the law of inputs is for validators that declare them:\n%s", text)
			}
		})
	}
}

// TestWhatItReads: it is said what a plugin declares to read, and what that means.
func TestWhatItReads(t *testing.T) {
	t.Parallel()
	a := conformance.Subject{Validator: "a"}
	for kind, test := range map[string]struct {
		subject conformance.Subject
		want    string
	}{
		"declares none":     {a, "ok: what it reads: its state alone; verdicts are kept\n"},
		"declares times":    {a, "ok: what it reads: at, gap, data; it is asked about every step, as no two have the same at and gap\n"},
		"raw unknown input": {conformance.Subject{}, undeclared},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			if l, _ := checkUntil(t, kind, test.subject, test.want); !strings.Contains(l.String(), test.want) {
				t.Errorf("want %q in\n%s", test.want, l)
			}
		})
	}
}

// atOnce is how many checks run at the same time. Some do little but wait.
const atOnce = 5

// TestBrokenPlugins: each way to break the contract is found, with what to do where there is
// something to say.
func TestBrokenPlugins(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) conformance.Subject {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return conformance.Subject{Path: path}
	}
	a := conformance.Subject{Validator: "a"}
	// In the order in which they begin: those that wait longest first.
	tests := []struct {
		name, kind string
		subject    conformance.Subject
		want       string // in one of the lines
	}{
		{"hangs", "hangs", a, "the process was lost: the plugin hangs"},
		{"gives up", "gives up", a, "FAILED: deadline"},
		{"missing", "", conformance.Subject{Path: dir + "/none"}, "there is no file " + dir + "/none; correct the path"},
		{"not executable", "", file("mode", "#!/bin/sh\n", 0o644), "is not executable; chmod 755"},
		{"no program", "", file("text", "hello", 0o755), "is neither a program for"},
		{"no interpreter", "", file("script", "#!/no/such/python3\n", 0o755), "needs /no/such/python3, which is not installed"},
		{"no handshake", "", file("quiet", "#!/bin/sh\nexit 0\n", 0o755), "ended before it was ready (exit status 0)"},
		{"prints first", "", file("loud", "#!/bin/sh\necho hello\nsleep 9\n", 0o755), `printed "hello" where the handshake must stand`},
		{"no validators", "raw nothing", conformance.Subject{}, "FAILED: it starts and describes itself: "},
		{"no such", "sound", conformance.Subject{Validator: "c"}, "FAILED: it has the validator c: it has a, b"},
		{"settings", "sound", conformance.Subject{Validator: "a", Settings: []byte(`{"limit":"x"}`)}, "FAILED: validator a: it takes its settings: settings.limit: want a whole number, got a string"},
		{"exits", "exits", a, "the process was lost: the plugin process ended: exit status 3"},
		{"remembers", "remembers", a, "FAILED: purity"},
		{"grows", "grows", a, "FAILED: form: a verdict is as Verdict.Check wants it, with bounds on state and detail: malformed verdict: state: "},
		{"strict", "strict", a, "FAILED: unknown fields"},
		{"never", "never", a, "FAILED: use"},
		{"reads more", "raw reads more", conformance.Subject{}, "FAILED: inputs: "},
		{"declares by turns", "raw by turns " + filepath.Join(dir, "turns"), conformance.Subject{},
			"FAILED: inputs: only what it declares to read changes a verdict, and it always declares the same: one says that it reads "},
	}
	var all sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	for _, test := range tests {
		turns <- struct{}{}
		// Not t.Parallel, which lets no more run than there are processors.
		all.Go(func() {
			defer func() { <-turns }()
			t.Run(test.name, func(t *testing.T) {
				l, sound := checkUntil(t, test.kind, test.subject, test.want)
				if sound || !strings.Contains(l.String(), test.want) {
					t.Errorf("sound %t, want %q in\n%s", sound, test.want, l)
				}
			})
		})
	}
	all.Wait()
}

// TestEachFaultIsFound: of several things that are wrong, each is told of.
func TestEachFaultIsFound(t *testing.T) {
	t.Parallel()
	for kind, wants := range map[string][]string{
		"raw no health, none, no shutdown": {"FAILED: it serves the health service: grpc.health.v1.Health/Check",
			"FAILED: it answers a batch of steps, each once: it gave 0 verdicts for one validator",
			"it does not serve plugin.GRPCController/Shutdown"},
		"raw not serving, twice, stays": {`the health of the service "plugin" is NOT_SERVING`,
			"each once: it answered call 7, which is not open", "it still ran 1s after it had been told to end"},
		"raw first alone, fails": {"with 2 of 3 steps unanswered",
			"it ended with exit status 5 where it must end with exit status 0"},
		"panics": {"FAILED: answer: no call panics or hangs, whatever the step, its data and the state: panic: overflow",
			"not checked: concurrency: many at once get the verdicts that one gets: first mend the rest"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l, sound := checkUntil(t, kind, conformance.Subject{Validator: "a"}, wants[len(wants)-1])
			for _, want := range wants {
				if sound || !strings.Contains(l.String(), want) {
					t.Errorf("sound %t, want %q in\n%s", sound, want, l)
				}
			}
		})
	}
}

// TestEachSettingIsNamed: what is wrong with several settings is told of each, and a process that
// breaks over its first step is spoken of by the validator's own name.
func TestEachSettingIsNamed(t *testing.T) {
	t.Parallel()
	l, sound := check(t, "two problems", conformance.Subject{Validator: "a", Settings: []byte(`{}`)})
	last := l.lines[len(l.lines)-1]
	if want := "settings.low: is above high\nsettings.high: is odd"; sound || last.Detail != want {
		t.Errorf("sound %t, got %q, want %q", sound, last.Detail, want)
	}
	l, sound = check(t, "first fails", conformance.Subject{Validator: "a"})
	last = l.lines[len(l.lines)-1]
	if sound || last.Check != "it starts again and judges a first step" || !strings.Contains(last.Detail, "the self-test of validator a: ") {
		t.Errorf("sound %t, got %+v", sound, last)
	}
}
