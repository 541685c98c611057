package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// console is a page with one block of these lines.
func console(lines ...string) string {
	return "# A page\n\n" + fence + "console\n" + strings.Join(lines, "\n") + "\n" + fence + "\n\nAnd on.\n"
}

func perform(t *testing.T, text string, args ...string) (code int, page, out string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	code = run(append(args, "-host", "board=sh", "-host", "laptop=bash", path), &b, &b)
	left, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return code, string(left), b.String()
}

func TestPages(t *testing.T) {
	for name, c := range map[string]struct {
		page string
		code int
		says string
	}{
		"as shown":               {console("board$ echo one; echo two >&2", "one", "two"), 0, "as shown"},
		"no output":              {console("board$ true", "laptop# true"), 0, "page.md:5: as shown"},
		"no end of line":         {console("board$ printf one", "one"), 0, "as shown"},
		"a shell keeps its mind": {console("board$ x=1; cd /", "board$ echo $x $PWD", "1 /"), 0, "as shown"},
		"two hosts":              {console("board$ x=1", "laptop$ echo ${x-none}", "none"), 0, "as shown"},
		"a line goes on":         {console(`board$ echo one \`, "  two", "one two"), 0, "as shown"},
		"a here-document":        {console("board$ cat <<'END'", "one", "END", "one"), 0, "as shown"},
		"a command that reads":   {console("board$ cat"), 0, "as shown"},
		"other figures":          {console("board$ echo in 0.35 ms, process 12", "in 17 ms, process 4711"), 0, "as shown"},
		"lines left out":         {console("board$ seq 9 | sed s/^/line-/", "line-1", "...", "line-9"), 0, "as shown"},
		"another word":           {console("board$ echo pass", "fail"), 1, "printed:\n    pass"},
		"another step":           {console("board$ echo step 3: ok", "step 4: ok"), 1, "shown:"},
		"a line too many":        {console("board$ echo one; echo two", "one"), 1, "shown:"},
		"a line too few":         {console("board$ echo one", "one", "two"), 1, "shown:"},
		"a command that fails":   {console("board$ echo so; exit 3"), 1, "the host's shell exited"},
		"a status":               {console("board$ (exit 3)"), 1, "page.md:4: board$ (exit 3): exit status 3"},
		"a host without a shell": {console("car$ true"), 1, `the host "car" has no shell; give it one with -host car=COMMAND`},
		"no command":             {"# A page\n", 2, "no ```console block"},
		"output first":           {console("one", "board$ echo one"), 2, "page.md:4: output before the first command"},
		"no end of the block":    {"```console\nboard$ true\n", 2, "page.md:1: the block has no end"},
	} {
		t.Run(name, func(t *testing.T) {
			code, page, out := perform(t, c.page)
			if code != c.code || !strings.Contains(out, c.says) {
				t.Errorf("exit status %d, want %d and %q, output:\n%s", code, c.code, c.says, out)
			}
			if page != c.page {
				t.Errorf("the page was changed:\n%s", page)
			}
		})
	}
}

func TestTooLong(t *testing.T) {
	code, _, out := perform(t, console("board$ sleep 600 & wait"), "-limit", "100ms")
	if code != 1 || !strings.Contains(out, "still running after 100ms") {
		t.Errorf("exit status %d, output:\n%s", code, out)
	}
}

func TestUpdate(t *testing.T) {
	before := console("board$ echo 1; echo 2", "old", "board$ echo took 3 ms", "took 5 ms", "board$ true", "gone")
	want := console("board$ echo 1; echo 2", "1", "2", "board$ echo took 3 ms", "took 5 ms", "board$ true")
	code, page, out := perform(t, before, "-update")
	if code != 0 || page != want {
		t.Errorf("exit status %d, output:\n%s\npage:\n%s\nwant:\n%s", code, out, page, want)
	}
}

func TestUsage(t *testing.T) {
	var b bytes.Buffer
	for _, args := range [][]string{{}, {"-host", "board", "x.md"}, {"-nonsense"}, {"missing.md"}} {
		if code := run(args, &b, &b); code != 2 {
			t.Errorf("%q: exit status %d", args, code)
		}
	}
}

func TestNormal(t *testing.T) {
	for _, same := range [][2]string{
		{"finished in 12.3 s", "finished in 9 s"},
		{"Started 2026-11-22T10:11:12Z", "Started 2027-01-02T03:04:05.678Z"},
		{"up 3m2s", "up 17s"},
		{"Nov 22 10:11:12 board stepagent[812]: x", "Dec 01 01:02:03 board stepagent[9]: x"},
		{"sha256 " + strings.Repeat("a0", 32), "sha256 " + strings.Repeat("1f", 32)},
		{"a   1.2 ms   b", "a 11.25 ms b"},
		{`{"req":"NVAFYURN-3","session":"stepctl-ae5bf05ede9bddd670a7148f08813244"}`,
			`{"req":"ABCDEFG2-3","session":"stepctl-00000000000000000000000000000000"}`},
		{"serial 7E:D3:6F:67:CC:12:F0:8F, valid 2026-11-30 to 2027-11-30", "serial 01:D3:6F:67:CC:12:F0:00:AA, valid 2027-01-01 to 2028-01-01"},
		{"10.0.0.2:41234", "10.0.0.2:55555"},
		{"stored as 20261122T185104-7f3a9c", "stored as 20270102T030405-00c01d"},
	} {
		if a, b := normal(same[0]), normal(same[1]); a != b {
			t.Errorf("%q and %q differ: %q, %q", same[0], same[1], a, b)
		}
	}
	for _, other := range [][2]string{
		{"step 1: ok", "step 2: ok"},
		{"9 of 10 steps passed", "10 of 10 steps passed"},
		{"exit code 1", "exit code 0"},
		{"ok", "NOK"},
		{`"req":"NVAFYURN-3"`, `"req":"NVAFYURN-4"`},
		{"10.0.0.2:8080", "10.0.0.2:9090"},
	} {
		if a := normal(other[0]); a == normal(other[1]) {
			t.Errorf("%q and %q are the same: %q", other[0], other[1], a)
		}
	}
}

// TestTwins: the guides show the same commands and outputs in both languages, and have the same
// sections.
func TestTwins(t *testing.T) {
	for _, name := range []string{"guide", "tls", "tls-rotation"} {
		english, err := readPage("../../../docs/" + name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		korean, err := readPage("../../../docs/" + name + ".ko.md")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(transcripts(english), transcripts(korean)); diff != "" {
			t.Errorf("%s.md and %[1]s.ko.md differ in what they show (-English +Korean):\n%s", name, diff)
		}
		if n, m := sections(english), sections(korean); n != m || n == 0 {
			t.Errorf("%s.md has %d sections and %[1]s.ko.md %d", name, n, m)
		}
	}
}

func transcripts(p *page) (shown []string) {
	for _, a := range p.steps {
		shown = append(shown, a.host+"$ "+a.command+"\n"+strings.Join(a.output, "\n"))
	}
	return shown
}

func sections(p *page) (n int) {
	for _, line := range p.lines() {
		if strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}
