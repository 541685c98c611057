package boards_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/boards"
)

// lab writes a boards file with two boards.
func lab(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lab")
	if err := os.WriteFile(path, []byte("a\nb x:9090 # at the window\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestList(t *testing.T) {
	t.Parallel()
	got, err := boards.List(lab(t), []string{"c", "10.0.0.3", "d=Bench-7:81", "시험대=::1"})
	want := []boards.Board{
		{Name: "a", Address: "a:8080"}, {Name: "b", Address: "x:9090"}, {Name: "c", Address: "c:8080"},
		{Name: "10.0.0.3", Address: "10.0.0.3:8080"}, {Name: "d", Address: "bench-7:81"}, {Name: "시험대", Address: "[::1]:8080"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := boards.List("", nil); err != nil || len(got) > 0 {
		t.Errorf("no board gave %v, %v", got, err)
	}
}

func TestListWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"c c":              "the board c is named twice; keep one",
		"a":                "the board a is named twice; keep one",
		"c=X:9090":         "the address x:9090 of the board c is that of b as well; keep one of the two",
		"c=h d=h:8080":     "the address h:8080 of the board d is that of c as well; keep one of the two",
		"h:8080":           `the name "h:8080" of the board must have letters, digits, and - _ . after the first of them; name the board as well, as in NAME=h:8080`,
		"../c":             `the name "../c" of the board must have`,
		"=h":               "the name of the board is empty",
		"c=":               `the address "" must be host or host:port`,
		"c=h:0":            `the port of the address "h:0" must be a number from 1 to 65535`,
		"c=d=h":            "", // a host may have an =, which no resolver finds
		"c=http://h":       "must be",
		"c=h:1 c=h:2 /=h":  "the board c is named twice; keep one\nthe name \"/\" of the board",
		"c=[::1]:1 d=::1%": "",
	} {
		list, err := boards.List(lab(t), strings.Fields(text))
		switch {
		case want == "" && err == nil:
		case err == nil || list != nil || !strings.Contains(err.Error(), want):
			t.Errorf("%s: got %v, %v; want %s", text, list, err, want)
		}
	}
	if _, err := boards.List("", make([]string, boards.MaxBoards+1)); err == nil || err.Error() != "4097 boards are named; name at most 4096" {
		t.Errorf("too many boards gave %v", err)
	}
	if _, err := boards.List(filepath.Join(t.TempDir(), "none"), nil); err == nil || !strings.HasPrefix(err.Error(), "cannot read the boards file: ") {
		t.Errorf("a missing file gave %v", err)
	}
}

// For any text: no panic, and a board that is read has a name that is safe in a file's name.
func FuzzParseFlag(f *testing.F) {
	f.Add("a")
	f.Add("a=[::1]:1")
	f.Add("a=b=c:1:2")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := boards.ParseFlag(text)
		if err != nil {
			return
		}
		if boards.CheckName(b.Name) != nil {
			t.Errorf("%q gave the name %q", text, b.Name)
		}
		if again, err := boards.ParseFlag(b.Name + "=" + b.Address); err != nil || again != b {
			t.Errorf("%v is read again as %v, %v", b, again, err)
		}
	})
}
