package process

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"
	"pgregory.net/rapid"
)

// linesOf returns a log of lines without a limit, and what is in it.
func linesOf(limit *rate.Limiter) (*lineLog, func() []string) {
	var buf bytes.Buffer
	handler := slog.NewTextHandler(&buf, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case "line", "lines":
			return a
		}
		return slog.Attr{}
	}})
	return newLineLog(Config{Logger: slog.New(handler), Lines: limit}, "stderr"), func() []string {
		return strings.Split(strings.TrimSuffix(buf.String(), "\n"), "\n")
	}
}

func TestLineLog(t *testing.T) {
	long := strings.Repeat("y", maxLineBytes)
	for name, test := range map[string]struct {
		printed string
		want    []string
	}{
		"lines":          {"one\ntwo\r\n", []string{"line=one", "line=two"}},
		"no newline":     {"one", []string{"line=one"}},
		"empty lines":    {"\n\n \r\none\n\n", []string{"line=one"}},
		"nothing":        {"", []string{""}},
		"control":        {"a\x1b[31mb\x00\n", []string{`line=a\x1b[31mb\x00`}},
		"go-plugin json": {`{"@message":1}` + "\n", []string{`line="{\"@message\":1}"`}},
		"as long as may": {long + "\n", []string{"line=" + long}},
		"too long":       {long + "z\nnext\n", []string{"line=" + long + "...", "line=next"}},
	} {
		t.Run(name, func(t *testing.T) {
			l, lines := linesOf(rate.NewLimiter(rate.Inf, 0))
			if l.write([]byte(test.printed)) {
				t.Error("flooded without a limit")
			}
			l.end()
			if diff := cmp.Diff(test.want, lines()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestLineLogHidesSecrets: before the characters of a line are escaped, and also in the last line.
func TestLineLogHidesSecrets(t *testing.T) {
	t.Parallel()
	l, lines := linesOf(rate.NewLimiter(rate.Inf, 0))
	l.hide = func(text string) string { return strings.ReplaceAll(text, "\x1bsecret", "(left out)") }
	l.write([]byte("panic: \x1bsec"))
	l.write([]byte("ret!\n"))
	if diff := cmp.Diff([]string{`line="panic: (left out)!"`}, lines()); diff != "" || l.lastLine() != "panic: (left out)!" {
		t.Errorf("the last line is %q, and the lines (-want +got):\n%s", l.lastLine(), diff)
	}
}

func TestLineLogLeavesOutWhatIsTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, lines := linesOf(rate.NewLimiter(1, 2))
		if l.write([]byte("1\n2\n")) {
			t.Error("two lines are allowed")
		}
		if !l.write([]byte("3\n4\n")) {
			t.Error("the third is not")
		}
		time.Sleep(quietTime - 1)
		if !l.write([]byte("5\n")) {
			t.Error("it is not quiet any more")
		}
		time.Sleep(time.Nanosecond)
		if l.write([]byte("6\n")) || !l.write([]byte("7\n8\n")) {
			t.Error("two lines are allowed again")
		}
		l.end()
		want := []string{"line=1", "line=2", "lines=3", "line=6", "line=7", "lines=1"}
		if diff := cmp.Diff(want, lines()); diff != "" {
			t.Error(diff)
		}
	})
}

// However the bytes come in, the lines are the same.
func TestLinesDoNotDependOnReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		printed := []byte(rapid.StringOf(rapid.SampledFrom([]rune("ab\n\r \x07é"))).Draw(t, "printed"))
		whole, want := linesOf(rate.NewLimiter(rate.Inf, 0))
		whole.write(printed)
		whole.end()
		parts, got := linesOf(rate.NewLimiter(rate.Inf, 0))
		for len(printed) > 0 {
			n := rapid.IntRange(1, len(printed)).Draw(t, "n")
			parts.write(printed[:n])
			printed = printed[n:]
		}
		parts.end()
		if diff := cmp.Diff(want(), got()); diff != "" {
			t.Error(diff)
		}
	})
}
