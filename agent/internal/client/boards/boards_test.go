package boards_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/boards"
)

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := boards.Parse("boards", []byte("\ufeff# the lab\r\nbench-7   bench-7.lab:9090 # at the window\r\n\n\t시험대-3 10.0.0.3\n"+
		"plain\nsix [FE80::1%eth0]:8080\nsix-2 ::1\nlast Bench-8"))
	want := []boards.Board{
		{Name: "bench-7", Address: "bench-7.lab:9090"}, {Name: "시험대-3", Address: "10.0.0.3:8080"}, {Name: "plain", Address: "plain:8080"},
		{Name: "six", Address: "[fe80::1%eth0]:8080"}, {Name: "six-2", Address: "[::1]:8080"}, {Name: "last", Address: "bench-8:8080"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestParseWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                             "b: the file names no board",
		"# nothing\n":                  "b: the file names no board",
		"a\na x":                       "b:2: the name a is that of line 1 already",
		"a x\n\nb X:8080":              "b:3: the address x:8080 is that of line 1 already",
		"a\n../etc x\n-f y\n.h z":      "b:2: the name \"../etc\" of the board must have letters",
		"a\x1b[2J x":                   "b:1: the name \"a\\x1b[2J\" of the board must",
		"a\xff x":                      "b:1: the name \"a\\xff\" of the board must",
		"a\u202e x":                    "b:1: the name \"a\\u202e\" of the board must",
		strings.Repeat("a", 65) + " x": "is longer than 64 bytes",
		"a x y":                        "b:1: want a name and an address, got 3 words",
		"a x:0":                        "b:1: the port of the address \"x:0\"",
		"a x:http":                     "must be a number from 1 to 65535",
		"a x:65536":                    "must be a number from 1 to 65535",
		"a :8080":                      "must be host or host:port",
		"a http://x":                   "must be",
		"a x\x00y":                     "must be host or host:port",
		"a x:1:2":                      "with an IPv6 address in brackets",
		strings.Repeat("#", 1<<20+1):   "at most 1048576 bytes",
		strings.Repeat("b\n", 5000):    "b:4097: a boards file has at most 4096 boards",
	} {
		list, err := boards.Parse("b", []byte(text))
		if err == nil || list != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, %v; want %s", text, list, err, want)
		}
	}
}

// All wrong lines are reported at once.
func TestParseReportsAll(t *testing.T) {
	t.Parallel()
	_, err := boards.Parse("b", []byte("/ x\na y\na z:0\na z"))
	want := "b:1: the name \"/\" of the board must have letters, digits, and - _ . after the first of them\n" +
		"b:3: the port of the address \"z:0\" must be a number from 1 to 65535\n" +
		"b:4: the name a is that of line 2 already"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "boards")
	if _, err := boards.Load(path); err == nil || !strings.Contains(err.Error(), "cannot read the boards file: open "+path) {
		t.Errorf("a missing file gave %v", err)
	}
	if err := os.WriteFile(path, []byte("a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := boards.Load(path); err != nil || len(list) != 1 {
		t.Errorf("got %v, %v", list, err)
	}
}

// For any bytes: no panic, and what is returned has sound names and each name and address once.
func FuzzParse(f *testing.F) {
	f.Add([]byte("a x\n# c\nb [::1]:1\n"))
	f.Add([]byte("a\xff \ufeff\r\r\nx:1:2 [] %"))
	f.Fuzz(func(t *testing.T, content []byte) {
		list, err := boards.Parse("b", content)
		if (err == nil) != (len(list) > 0) {
			t.Errorf("%d boards with %v", len(list), err)
		}
		seen := map[string]bool{}
		for _, b := range list {
			if boards.CheckName(b.Name) != nil || seen["n"+b.Name] || seen["a"+b.Address] {
				t.Errorf("%v is not sound", b)
			}
			seen["n"+b.Name], seen["a"+b.Address] = true, true
			again, err := boards.Parse("b", []byte(b.Name+" "+b.Address))
			if err != nil || again[0] != b {
				t.Errorf("%v is read again as %v, %v", b, again, err)
			}
		}
	})
}
