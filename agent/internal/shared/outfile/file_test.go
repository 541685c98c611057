package outfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// create is Create for a file that can be made.
func create(t *testing.T, path string) *File {
	t.Helper()
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

// must fails the test where something that it needs cannot be done.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	must(t, err)
	return string(raw)
}

func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.jsonl")
	must(t, os.WriteFile(path, nil, 0o600)) // an empty file is taken, as it is
	f := create(t, path)
	write(t, f, "one\n")
	write(t, f, "two\n")
	must(t, errors.Join(f.Close(), f.Close()))
	if got := content(t, path); got != "one\ntwo\n" {
		t.Errorf("the file holds %q", got)
	}
	if _, err := Create(path); err == nil || err.Error() != path+" holds something already; name another file, or remove it" {
		t.Errorf("error %v", err)
	}
	if got := content(t, path); got != "one\ntwo\n" {
		t.Errorf("a file that was refused holds %q", got)
	}
}

func TestCreateFails(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		dir:                                "is a directory",
		filepath.Join(dir, "none", "file"): "no such file",
	} {
		if f, err := Create(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, error %v", path, f, err)
		}
	}
}

// What is done to a file while it is written is told at its end.
func TestCloseTellsOfLoss(t *testing.T) {
	for name, test := range map[string]struct {
		harm func(t *testing.T, path string)
		want error
	}{
		"removed":   {func(t *testing.T, path string) { must(t, os.Remove(path)) }, ErrGone},
		"renamed":   {func(t *testing.T, path string) { must(t, os.Rename(path, path+".1")) }, ErrGone},
		"no folder": {func(t *testing.T, path string) { must(t, os.RemoveAll(filepath.Dir(path))) }, ErrGone},
		"another folder": {func(t *testing.T, path string) {
			must(t, os.Rename(filepath.Dir(path), filepath.Dir(path)+".1"))
			must(t, os.Mkdir(filepath.Dir(path), 0o700))
		}, ErrGone},
		"replaced": {func(t *testing.T, path string) {
			must(t, os.WriteFile(path+".1", []byte("one\n"), 0o600))
			must(t, os.Rename(path+".1", path))
		}, ErrGone},
		"emptied": {func(t *testing.T, path string) { must(t, os.Truncate(path, 0)) }, ErrChanged},
		"a second writer": {func(t *testing.T, path string) {
			other, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			must(t, err)
			write(t, other, "of another run\n")
			must(t, other.Close())
		}, ErrChanged},
		"nothing": {func(*testing.T, string) {}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "folder", "run.jsonl")
			must(t, os.Mkdir(filepath.Dir(path), 0o700))
			f := create(t, path)
			write(t, f, "one\n")
			test.harm(t, path)
			err := f.Close()
			if !errors.Is(err, test.want) || err != nil && !strings.HasPrefix(err.Error(), path+" was ") {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if again := f.Close(); !errors.Is(again, test.want) {
				t.Errorf("the second time: %v", again)
			}
		})
	}
}

// A file that has gone is told while it is written, at most a second later.
func TestWriteTellsOfLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "run.jsonl")
		f := create(t, path)
		write(t, f, "one\n")
		must(t, os.Remove(path))
		time.Sleep(checkInterval)
		if _, err := f.Write([]byte("two\n")); !errors.Is(err, ErrGone) || !strings.HasPrefix(err.Error(), path+" was ") {
			t.Errorf("error %v", err)
		}
		_ = f.Close()
	})
}

func TestDevices(t *testing.T) {
	f := create(t, os.DevNull)
	write(t, f, "x")
	must(t, f.Close())
	must(t, Replace(os.DevNull, func(w io.Writer) error { write(t, w, "x"); return nil }))
	must(t, Probe(os.DevNull))
}
