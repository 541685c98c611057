//go:build unix

package outfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shared returns a folder in which others can make files.
func shared(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shared")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Chmod(dir, 0o777)) // past the umask
	return dir
}

// A second writer is refused before it writes, and taken when the first has gone.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.jsonl")
	f := create(t, path)
	if second, err := Create(path); !errors.Is(err, ErrLocked) || !strings.HasPrefix(err.Error(), path+" is being written by another program") {
		t.Errorf("a second writer: %v, error %v", second, err)
	}
	must(t, f.Close())
	must(t, create(t, path).Close())
}

// Others may not turn the writing to a file of their choice.
func TestLinks(t *testing.T) {
	for name, test := range map[string]struct {
		make func(t *testing.T, dir, victim string) (path string)
		want string // empty where the link may be gone over
	}{
		"to a file": {func(t *testing.T, dir, victim string) string {
			return link(t, victim, filepath.Join(dir, "r.xml"))
		}, "is a symbolic link in a folder that others can write"},
		"to nothing": {func(t *testing.T, dir, victim string) string {
			return link(t, victim+".new", filepath.Join(dir, "r.xml"))
		}, "is a symbolic link in a folder that others can write"},
		"of one's own to a folder": {func(t *testing.T, dir, victim string) string {
			return filepath.Join(link(t, filepath.Dir(victim), filepath.Join(dir, "reports")), "r.xml")
		}, ""},
		"in a folder of one's own": {func(t *testing.T, _, victim string) string {
			return link(t, victim+".new", filepath.Join(t.TempDir(), "r.xml"))
		}, ""},
		"over a link into the folder": {func(t *testing.T, dir, victim string) string {
			link(t, victim, filepath.Join(dir, "r.xml"))
			return link(t, filepath.Join(dir, "r.xml"), filepath.Join(t.TempDir(), "r.xml"))
		}, "is a symbolic link in a folder that others can write"},
		"to itself": {func(t *testing.T, _, _ string) string {
			path := filepath.Join(t.TempDir(), "r.xml")
			return link(t, path, path)
		}, "too many levels of symbolic links"},
	} {
		t.Run(name, func(t *testing.T) {
			victim := filepath.Join(t.TempDir(), "victim")
			must(t, os.WriteFile(victim, nil, 0o600))
			path := test.make(t, shared(t), victim)
			f, err := Create(path)
			if err == nil {
				must(t, f.Close())
				must(t, os.Remove(path))
			}
			path = test.make(t, shared(t), victim)
			replaced := Replace(path, func(w io.Writer) error { write(t, w, "x"); return nil })
			for _, err := range []error{err, Probe(path), replaced} {
				if (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want %q", err, test.want)
				}
			}
			if info, err := os.Lstat(victim); err != nil || info.Size() > 0 {
				t.Errorf("the victim: %v, %v", info, err)
			}
			if _, err := os.Lstat(victim + ".new"); test.want != "" && err == nil {
				t.Error("a file was made through the link")
			}
		})
	}
}

func link(t *testing.T, to, path string) string {
	t.Helper()
	must(t, os.Symlink(to, path))
	return path
}

// A path leads where it does for the system, also past a link and up again.
func TestResolve(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	must(t, os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700))
	must(t, os.MkdirAll(filepath.Join(dir, "c"), 0o700))
	link(t, "../a/b", filepath.Join(dir, "c", "link"))
	link(t, "link/../file", filepath.Join(dir, "c", "last"))
	t.Chdir(filepath.Join(dir, "c"))
	for path, want := range map[string]string{
		"file": "c/file", "./file": "c/file", "link/file": "a/b/file", "link/../file": "a/file", "../a/./b//file": "a/b/file",
		"last": "a/file", dir + "/c/link/../b/file": "a/b/file", "none/file": "c/none/file",
	} {
		at, foreign, err := Resolve(path)
		if err != nil || foreign || at != filepath.Join(dir, want) {
			t.Errorf("%s leads to %s (%t, %v), want %s", path, at, foreign, err, want)
		}
		if path == "none/file" {
			continue
		}
		must(t, os.WriteFile(path, nil, 0o600)) // as the system resolves it
		if _, err := os.Lstat(filepath.Join(dir, want)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		must(t, os.Remove(filepath.Join(dir, want)))
	}
}

// The kinds of folders in which others can make files; those of the group are its members.
func TestForeign(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	must(t, os.Mkdir(dir, 0o700))
	for mode, want := range map[os.FileMode]bool{
		0o755: false, 0o775: false, 0o777: true, 0o757: true, 0o777 | os.ModeSticky: true,
	} {
		must(t, os.Chmod(dir, mode))
		if got := isForeign(dir); got != want {
			t.Errorf("%v: %t", mode, got)
		}
	}
	if os.Geteuid() != 0 {
		return // only root can give a folder away
	}
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Chown(dir, 1234, 0))
	if !isForeign(dir) {
		t.Error("a folder of another user is not foreign")
	}
	must(t, os.Chown(dir, 0, 1234))
	must(t, os.Chmod(dir, 0o775))
	if !isForeign(dir) {
		t.Error("a folder of another group is not foreign")
	}
	// What another user has put there is not written to.
	must(t, os.Chmod(dir, 0o777))
	planted := filepath.Join(dir, "run.jsonl")
	must(t, os.WriteFile(planted, nil, 0o666))
	must(t, os.Chown(planted, 1234, 1234))
	if f, err := Create(planted); err == nil || !strings.Contains(err.Error(), "belongs to another user") {
		t.Errorf("%v, error %v", f, err)
	}
}

// A pipe that has no reader is an error after a while, and no wait for ever.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(path, 0o600))
	read := make(chan string)
	go func() {
		for {
			raw, err := os.ReadFile(path)
			if err != nil || len(raw) == 0 {
				close(read)
				return
			}
			read <- string(raw)
		}
	}()
	f := create(t, path)
	write(t, f, "a record")
	must(t, f.Close())
	if got := <-read; got != "a record" {
		t.Errorf("read %q", got)
	}
	must(t, Replace(path, func(w io.Writer) error { write(t, w, "a report"); return nil }))
	if got := <-read; got != "a report" {
		t.Errorf("read %q", got)
	}
	must(t, Replace(path, func(io.Writer) error { return nil })) // the reader ends
	<-read
	if isUnread(openNow(path)) != true {
		t.Error("a pipe without a reader is not known as such")
	}
	_, err := waitFor(time.Nanosecond, path, path, os.O_WRONLY)
	if err == nil || !strings.Contains(err.Error(), "start its reader first") {
		t.Errorf("error %v", err)
	}
}

func openNow(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|nonBlock, 0)
	if err == nil {
		_ = file.Close() // nothing was written
	}
	return err
}

// A full disk is told.
func TestFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		return // there is none on this system
	}
	f := create(t, "/dev/full")
	if _, err := f.Write([]byte("x")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v", err)
	}
	if err := Replace("/dev/full", func(w io.Writer) error { _, err := w.Write([]byte("x")); return err }); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v", err)
	}
}
