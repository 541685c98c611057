package logging

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestJournal: the time is left out for the stream that the variable names, and for no other.
func TestJournal(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"auto", "text", "json", "tint"} {
		f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		stat := info.Sys().(*syscall.Stat_t)
		stream := fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
		for _, journal := range []string{stream, stream + "1", ""} {
			log, err := New(f, Options{Format: format, Getenv: env(map[string]string{"JOURNAL_STREAM": journal})})
			if err != nil {
				t.Fatal(err)
			}
			log.Info("hello", slog.Group("g", slog.String("time", "kept")), slog.String("time", "kept too"))
		}
		data, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
		if len(lines) != 3 || strings.Count(string(data), "kept") != 6 {
			t.Fatalf("%s: %q", format, lines)
		}
		start := "<6>" + map[string]string{"auto": "level=", "text": "level=", "json": `{"level":`, "tint": "INF "}[format]
		for i, line := range lines {
			if timeless := i == 0; strings.HasPrefix(line, start) != timeless {
				t.Errorf("%s: line %d is %q", format, i, line)
			}
		}
	}
	if isJournal(&bytes.Buffer{}, "0:0") {
		t.Error("a buffer is taken for the journal")
	}
}

// TestPriorities: the journal gets the level of each line in the form that it reads, whatever
// was added to the logger since.
func TestPriorities(t *testing.T) {
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stderr.Close() }()
	info, err := stderr.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", stat.Dev, stat.Ino))
	log, err := New(stderr, Options{Format: "text", Level: slog.LevelDebug})
	if err != nil {
		t.Fatal(err)
	}
	log = log.With("a", 1).WithGroup("g").With("b", 2)
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		log.Log(t.Context(), level, "x\ny")
	}
	if _, err := fmt.Fprint(Complaints(stderr), "stepagent:\n  a\n"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(stderr.Name())
	if err != nil {
		t.Fatal(err)
	}
	want := `<7>level=DEBUG msg="x\ny" a=1 g.b=2
<6>level=INFO msg="x\ny" a=1 g.b=2
<4>level=WARN msg="x\ny" a=1 g.b=2
<3>level=ERROR msg="x\ny" a=1 g.b=2
<3>stepagent:
<3>  a
`
	if string(got) != want {
		t.Errorf("the journal gets\n%swant\n%s", got, want)
	}
	if w := Complaints(&bytes.Buffer{}); w == nil {
		t.Error("no place for complaints")
	}
}

// TestTerminal has a pseudoterminal: the one place where colour is written.
func TestTerminal(t *testing.T) {
	t.Parallel()
	master, terminal := openTerminal(t)
	lines := bufio.NewReader(master) // a read may end anywhere in a line
	for _, test := range []struct {
		format, term, noColour string
		tint, colour           bool
	}{
		{format: "auto", term: "xterm-256color", tint: true, colour: true},
		{format: "tint", term: "linux", tint: true, colour: true},
		{format: "auto", term: "xterm", noColour: "1", tint: true},
		{format: "auto", term: "dumb", tint: true},
		{format: "auto", tint: true},
		{format: "text", term: "xterm"},
		{format: "json", term: "xterm"},
	} {
		log, err := New(terminal, Options{Format: test.format,
			Getenv: env(map[string]string{"TERM": test.term, "NO_COLOR": test.noColour})})
		if err != nil {
			t.Fatal(err)
		}
		log.Info("hello")
		got, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if tint := !strings.Contains(got, "INFO"); tint != test.tint || strings.Contains(got, "\x1b[") != test.colour {
			t.Errorf("%+v: %q", test, got)
		}
	}
}

// openTerminal returns both ends of a pseudoterminal: pts(4).
func openTerminal(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	return master, terminal
}
