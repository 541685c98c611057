package conformance_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/conformance"
)

func TestSoundPlugins(t *testing.T) {
	for _, kind := range []string{"sound", "raw"} {
		l, sound := check(t, kind, conformance.Subject{Validator: "a"})
		if kind == "raw" {
			l, sound = check(t, "raw sound", conformance.Subject{})
		}
		if !sound || l.progress == 0 || len(l.lines) < 12 {
			t.Errorf("%s: sound %t, progress told %d times:\n%s", kind, sound, l.progress, l)
		}
		for _, line := range l.lines {
			if line.State != conformance.OK {
				t.Errorf("%s: %+v", kind, line)
			}
		}
	}
}

func TestAllValidatorsAreChecked(t *testing.T) {
	l, sound := check(t, "sound", conformance.Subject{Settings: []byte(`{"limit":5}`)})
	if !sound || strings.Count(l.String(), "ok: purity") != 2 || !strings.Contains(l.String(), "ok: validator b: it takes its settings: a test") {
		t.Errorf("sound %t:\n%s", sound, l)
	}
}

// TestBrokenPlugins: each way to break the contract is found, with what to do where there is
// something to say.
func TestBrokenPlugins(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) conformance.Subject {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return conformance.Subject{Path: path}
	}
	a := conformance.Subject{Validator: "a"}
	for name, test := range map[string]struct {
		kind    string
		subject conformance.Subject
		want    string // in one of the lines
	}{
		"missing":          {"", conformance.Subject{Path: dir + "/none"}, "there is no file " + dir + "/none; correct the path"},
		"not executable":   {"", file("mode", "#!/bin/sh\n", 0o644), "is not executable; chmod 755"},
		"no program":       {"", file("text", "hello", 0o755), "is neither a program for"},
		"no interpreter":   {"", file("script", "#!/no/such/python3\n", 0o755), "needs /no/such/python3, which is not installed"},
		"no handshake":     {"", file("quiet", "#!/bin/sh\nexit 0\n", 0o755), "ended before it was ready (exit status 0)"},
		"prints first":     {"", file("loud", "#!/bin/sh\necho hello\nsleep 9\n", 0o755), `printed "hello" where the handshake must stand`},
		"no validators":    {"raw nothing", conformance.Subject{}, "FAILED: it starts and describes itself: "},
		"no such":          {"sound", conformance.Subject{Validator: "c"}, "FAILED: it has the validator c: it has a, b"},
		"settings":         {"sound", conformance.Subject{Validator: "a", Settings: []byte(`{"limit":"x"}`)}, "FAILED: validator a: it takes its settings: settings.limit: want a whole number, got a string"},
		"no health":        {"raw no health", conformance.Subject{}, "FAILED: it serves the health service: grpc.health.v1.Health/Check"},
		"not serving":      {"raw not serving", conformance.Subject{}, `the health of the service "plugin" is NOT_SERVING`},
		"no verdicts":      {"raw none", conformance.Subject{}, "FAILED: it answers a batch of steps, each once: it gave 0 verdicts for one validator"},
		"answers twice":    {"raw twice", conformance.Subject{}, "each once: it answered call 7, which is not open"},
		"one of a batch":   {"raw first alone", conformance.Subject{}, "with 2 of 3 steps unanswered"},
		"no shutdown":      {"raw no shutdown", conformance.Subject{}, "it does not serve plugin.GRPCController/Shutdown"},
		"stays":            {"raw stays", conformance.Subject{}, "it still ran 1s after it had been told to end"},
		"fails at its end": {"raw fails", conformance.Subject{}, "it ended with exit status 5 where it must end with exit status 0"},
		"panics":           {"panics", a, "FAILED: answer: no call panics or hangs, whatever the step, its data and the state: panic: overflow"},
		"exits":            {"exits", a, "the process was lost: the plugin process ended: exit status 3"},
		"hangs":            {"hangs", a, "the process was lost: the plugin hangs"},
		"gives up":         {"gives up", a, "FAILED: deadline"},
		"remembers":        {"remembers", a, "FAILED: purity"},
		"grows":            {"grows", a, "FAILED: form: a verdict is as Verdict.Check wants it, with bounds on state and detail: malformed verdict: state: "},
		"strict":           {"strict", a, "FAILED: unknown fields"},
		"never":            {"never", a, "FAILED: use"},
		"not all asked":    {"panics", a, "not checked: concurrency: many at once get the verdicts that one gets: first mend the rest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, sound := check(t, test.kind, test.subject)
			if sound || !strings.Contains(l.String(), test.want) {
				t.Errorf("sound %t, want %q in\n%s", sound, test.want, l)
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
