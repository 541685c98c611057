//go:build unix

package outfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

// alone fails the test where a folder holds something besides the file.
func alone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("beside %s: %v, error %v", filepath.Base(path), entries, err)
	}
}

// A report replaces an older one and keeps its mode, its owner and its group.
func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.xml")
	must(t, Probe(path))
	if _, err := os.Stat(path); err == nil {
		t.Error("Probe makes the file")
	}
	must(t, Replace(path, text("first")))
	must(t, os.Chmod(path, 0o640))
	if os.Geteuid() == 0 {
		must(t, os.Chown(path, 1234, 2345))
	}
	before, err := os.Stat(path)
	must(t, err)
	must(t, Probe(path))
	must(t, Replace(path, text("second, and longer")))
	after, err := os.Stat(path)
	must(t, err)
	if got := content(t, path); got != "second, and longer" {
		t.Errorf("the file holds %q", got)
	}
	if before.Mode() != after.Mode() || !sameOwner(before, after) {
		t.Errorf("mode %v and owner %v became %v and %v", before.Mode(), before.Sys(), after.Mode(), after.Sys())
	}
	alone(t, path)
}

// A report that cannot be made leaves the older one as it is, and nothing beside it.
func TestReplaceFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.xml")
	must(t, Replace(path, text("first")))
	broken := errors.New("broken")
	err := Replace(path, func(w io.Writer) error { return errors.Join(text("half")(w), broken) })
	if !errors.Is(err, broken) || content(t, path) != "first" {
		t.Errorf("error %v, the file holds %q", err, content(t, path))
	}
	alone(t, path)
	if Replace(filepath.Dir(path), text("x")) == nil || Probe(filepath.Dir(path)) == nil {
		t.Error("a folder is replaced")
	}
}

// A folder that is exchanged meanwhile does not have the report, and that is told.
func TestReplaceInAFolderThatGoes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "reports")
	path := filepath.Join(dir, "r.xml")
	for name, harm := range map[string]func(){
		"removed": func() { must(t, os.RemoveAll(dir)) },
		"renamed": func() { must(t, os.Rename(dir, dir+".1")) },
		"replaced": func() {
			must(t, os.Rename(dir, dir+".2"))
			must(t, os.Mkdir(dir, 0o700))
		},
	} {
		must(t, os.MkdirAll(dir, 0o700))
		if err := Replace(path, func(w io.Writer) error { harm(); return text("x")(w) }); err == nil {
			t.Errorf("the folder was %s, and no error tells of it", name)
		}
	}
}

// Where the owner cannot be kept otherwise, the content alone is exchanged.
func TestReplaceInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.xml")
	must(t, os.WriteFile(path, []byte("an older report that is longer"), 0o600))
	old, err := os.Stat(path)
	must(t, err)
	p, err := newTempFile(path, old)
	must(t, err)
	must(t, text("new")(p.file))
	must(t, p.copyTo(path, true, old))
	p.remove()
	if after, err := os.Stat(path); err != nil || !os.SameFile(old, after) || content(t, path) != "new" {
		t.Errorf("the file holds %q, error %v", content(t, path), err)
	}
	alone(t, path)
	must(t, os.Link(path, path+".other"))
	if err := refused(openInPlace(path, true, old)); err == nil {
		t.Error("a file with another name is written in a folder that others can write")
	}
}

func refused(file *os.File, err error) error {
	if err == nil {
		_ = file.Close() // nothing was written
	}
	return err
}

func sameOwner(a, b os.FileInfo) bool {
	first, second := a.Sys().(*syscall.Stat_t), b.Sys().(*syscall.Stat_t)
	return first.Uid == second.Uid && first.Gid == second.Gid
}
