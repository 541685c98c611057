package logging

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// env makes a lookup of the given variables.
func env(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

func TestFormats(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		"":     `level=INFO msg="step judged" step_id=3`,
		"auto": `level=INFO msg="step judged" step_id=3`,
		"text": `level=INFO msg="step judged" step_id=3`,
		"tint": `INF step judged step_id=3`,
		"json": `"level":"INFO","msg":"step judged","step_id":3}`,
	} {
		var out bytes.Buffer
		log, err := New(&out, Options{Format: format, Getenv: env(map[string]string{"TERM": "xterm"})})
		if err != nil {
			t.Fatalf("%q: %v", format, err)
		}
		log.Debug("not written")
		log.Info("step judged", "step_id", 3)
		got := out.String()
		if !strings.HasSuffix(got, want+"\n") || strings.Count(got, "\n") != 1 || strings.Contains(got, "\x1b") {
			t.Errorf("%q: %q, want it to end in %q", format, got, want)
		}
		if strings.HasPrefix(got, "level=") || strings.HasPrefix(got, "INF") || strings.HasPrefix(got, `{"level"`) {
			t.Errorf("%q has no time: %q", format, got)
		}
	}
	if _, err := New(&bytes.Buffer{}, Options{Format: "xml"}); err == nil ||
		err.Error() != `"xml" is no log format; use auto, tint, text or json` {
		t.Errorf("an unknown format: %v", err)
	}
}

func TestLevelCanChange(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"tint", "text", "json"} {
		var out bytes.Buffer
		var level slog.LevelVar
		log, err := New(&out, Options{Format: format, Level: &level})
		if err != nil {
			t.Fatal(err)
		}
		log = log.With("session", "a").WithGroup("g")
		log.Debug("first")
		level.Set(slog.LevelDebug)
		log.Debug("second")
		level.Set(slog.LevelError)
		log.Warn("third")
		if got := out.String(); !strings.Contains(got, "second") || strings.Count(got, "\n") != 1 {
			t.Errorf("%s: %q", format, got)
		}
	}
}
