package spool_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/database/spool"
	"github.com/stepagent/stepagent/agent/internal/shared/outfile"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var header = spool.Header{Place: "/runs.db", Run: "20261130T001422-7f3a9c", First: 3, Meta: []byte(`{"board":"b"}`)}

// A file is taken in once it is closed, and stays until its lines are stored.
func TestTake(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state", "stepctl")
	f, err := spool.Create(folder, header)
	must(t, err)
	for _, lines := range []string{"{\"event\":1}\n", "{\"event\":2}\n{\"eve"} { // a crash cuts the last line
		_, err := f.Append([]byte(lines))
		must(t, err)
	}
	never := func(spool.Header, []byte) error { t.Error("the file was read"); return nil }
	if err := spool.Take(f.Path(), never); !errors.Is(err, outfile.ErrLocked) {
		t.Errorf("while it is written: %v", err)
	}
	must(t, f.Close())
	broken := errors.New("broken")
	if err := spool.Take(f.Path(), func(spool.Header, []byte) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	paths, err := spool.List(folder)
	if err != nil || len(paths) != 1 || paths[0] != f.Path() {
		t.Fatalf("%v, error %v", paths, err)
	}
	must(t, spool.Take(f.Path(), func(h spool.Header, lines []byte) error {
		if h.Run != header.Run || h.First != 3 || h.Place != header.Place || string(h.Meta) != `{"board":"b"}` || string(lines) != "{\"event\":1}\n{\"event\":2}\n" {
			t.Errorf("%+v %q", h, lines)
		}
		return nil
	}))
	if err := spool.Take(f.Path(), never); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a second time: %v", err)
	}
	info, err := os.Stat(folder)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the folder: %v, error %v", info, err)
	}
}

// Two files of the same first line have two names, in their order.
func TestNames(t *testing.T) {
	folder := t.TempDir()
	var want []string
	for range 3 {
		f, err := spool.Create(folder, header)
		must(t, err)
		must(t, f.Close())
		want = append(want, f.Path())
	}
	paths, err := spool.List(folder)
	if err != nil || strings.Join(paths, " ") != strings.Join(want, " ") {
		t.Errorf("%v, want %v, error %v", paths, want, err)
	}
	if none, err := spool.List(filepath.Join(folder, "none")); err != nil || none != nil {
		t.Errorf("a folder that is missing: %v, error %v", none, err)
	}
	hostile := header
	hostile.Run = "../other"
	if _, err := spool.Create(folder, hostile); err == nil {
		t.Error("a file outside of the folder was created")
	}
}

func TestRead(t *testing.T) {
	const good = `{"spool":1,"place":"p","run":"r","first":1,"meta":{}}`
	for _, tt := range []struct{ raw, want string }{
		{"", "the first line is cut"},
		{good, "the first line is cut"},
		{"{}\n", "format 0 is not known"},
		{strings.Replace(good, ":1,", ":2,", 1) + "\n", "format 2 is not known"},
		{strings.Replace(good, `"first":1`, `"first":0`, 1) + "\n", "is missing"},
		{strings.Replace(good, `"place"`, `"space"`, 1) + "\n", "not the first line"},
		{strings.Repeat("x", 1<<20) + "\n", "the first line is cut"},
	} {
		if _, _, err := spool.Read(strings.NewReader(tt.raw), "f"); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "f:") {
			t.Errorf("%.60q: error %v, want %q", tt.raw, err, tt.want)
		}
	}
}

// What a crash or another program has left in a file is read as whole lines or refused.
func FuzzRead(f *testing.F) {
	f.Add("{\"spool\":1,\"place\":\"p\",\"run\":\"r\",\"first\":1,\"meta\":{}}\n{}\n{")
	f.Add("{\"spool\":1}\n")
	f.Fuzz(func(t *testing.T, raw string) {
		h, lines, err := spool.Read(strings.NewReader(raw), "f")
		switch {
		case err != nil:
		case h.First < 1 || h.Run == "":
			t.Errorf("%+v", h)
		case len(lines) > 0 && lines[len(lines)-1] != '\n' || !strings.Contains(raw, string(lines)):
			t.Errorf("lines %q of %q", lines, raw)
		}
	})
}
