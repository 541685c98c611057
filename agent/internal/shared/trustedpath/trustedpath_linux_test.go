package trustedpath

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// A tree is a folder with the file dir/file, to be spoilt.
type tree string

func newTree(t *testing.T) tree {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	must(t, os.Chmod(root, 0o755))
	must(t, os.Mkdir(filepath.Join(root, "dir"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "dir/file"), nil, 0o644))
	return tree(root)
}

func (r tree) at(path string) string { return filepath.Join(string(r), path) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	link := func(t *testing.T, target, at string) { t.Helper(); must(t, os.Symlink(target, at)) }
	between := func(mode fs.FileMode) func(t *testing.T, r tree) string {
		return func(t *testing.T, r tree) string { // a -> between/b -> dir/file
			must(t, os.Mkdir(r.at("between"), 0o700))
			link(t, "../dir/file", r.at("between/b"))
			link(t, "between/b", r.at("a"))
			must(t, os.Chmod(r.at("between"), mode))
			return r.at("a")
		}
	}
	for name, test := range map[string]struct {
		prepare func(t *testing.T, r tree) string
		want    string // of the error; empty for none, and the path leads to dir/file
	}{
		"the file":        {func(_ *testing.T, r tree) string { return r.at("dir/file") }, ""},
		"dots":            {func(_ *testing.T, r tree) string { return string(r) + "/dir/.././dir//file" }, ""},
		"a link":          {func(t *testing.T, r tree) string { link(t, "dir/file", r.at("l")); return r.at("l") }, ""},
		"an absolute one": {func(t *testing.T, r tree) string { link(t, r.at("dir/file"), r.at("l")); return r.at("l") }, ""},
		"a linked folder": {func(t *testing.T, r tree) string { link(t, "dir", r.at("l")); return r.at("l/file") }, ""},
		"up behind a link": {func(t *testing.T, r tree) string {
			must(t, os.MkdirAll(r.at("x/y"), 0o755))
			link(t, "x/y", r.at("l"))
			return string(r) + "/l/../../dir/file" // the parent of x/y, and not of l
		}, ""},
		"two links":             {between(0o755), ""},
		"sticky between links":  {between(0o777 | fs.ModeSticky), ""},
		"writable between them": {between(0o777), "others than the owner can write to "},
		"group between them":    {between(0o770), "between; chmod go-w "},
		"writable file": {func(t *testing.T, r tree) string {
			must(t, os.Chmod(r.at("dir/file"), 0o666))
			return r.at("dir/file")
		}, "dir/file; chmod go-w "},
		"writable by the group": {func(t *testing.T, r tree) string {
			must(t, os.Chmod(r.at("dir/file"), 0o664))
			return r.at("dir/file")
		}, "dir/file; chmod go-w "},
		"sticky file": {func(t *testing.T, r tree) string { // which means nothing
			must(t, os.Chmod(r.at("dir/file"), 0o666|fs.ModeSticky))
			return r.at("dir/file")
		}, "dir/file; chmod go-w "},
		"writable folder": {func(t *testing.T, r tree) string {
			must(t, os.Chmod(r.at("dir"), 0o777))
			return r.at("dir/file")
		}, "dir; chmod go-w "},
		"far above": {func(t *testing.T, r tree) string {
			must(t, os.Chmod(string(r), 0o777))
			return r.at("dir/file")
		}, "others than the owner can write to "},
		"missing":  {func(_ *testing.T, r tree) string { return r.at("dir/none") }, "no such file"},
		"relative": {func(*testing.T, tree) string { return "dir/file" }, "invalid argument"},
		"a loop":   {func(t *testing.T, r tree) string { link(t, "l", r.at("l")); return r.at("l") }, "too many levels"},
		"below a file": {func(_ *testing.T, r tree) string {
			return r.at("dir/file/x")
		}, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTree(t)
			got, err := Resolve(test.prepare(t, r), os.Geteuid())
			switch {
			case test.want == "" && (err != nil || got != r.at("dir/file")):
				t.Errorf("got %s, %v", got, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %s, %v; want %s", got, err, test.want)
			}
		})
	}
}

// TestResolveNamesAllThatIsWritable: one chmod mends a tree that was made with the umask 002.
func TestResolveNamesAllThatIsWritable(t *testing.T) {
	t.Parallel()
	r := newTree(t)
	must(t, os.Symlink("../dir/file", r.at("dir/link"))) // through dir twice
	must(t, os.Chmod(r.at("dir"), 0o775))
	must(t, os.Chmod(r.at("dir/file"), 0o664))
	all := []string{r.at("dir"), r.at("dir/file")}
	want := "others than the owner can write to " + strings.Join(all, ", ") + "; chmod go-w " + strings.Join(all, " ")
	_, err := Resolve(r.at("dir/link"), os.Geteuid())
	if _, untrusted := errors.AsType[*UntrustedError](err); !untrusted || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := Resolve(r.at("dir/none"), os.Geteuid()); err == nil || !strings.HasSuffix(err.Error(), "; chmod go-w "+r.at("dir")) {
		t.Errorf("a missing file below a folder that others can write to: %v", err)
	}
	if os.Geteuid() == 0 { // a wrong owner is told first, as no chmod mends that
		must(t, os.Chown(r.at("dir/file"), 54321, -1))
		if _, err := Resolve(r.at("dir/link"), 0); err == nil || !strings.Contains(err.Error(), "dir/file belongs to user 54321") {
			t.Errorf("writable, and of another user: %v", err)
		}
	}
}

// TestResolveOwner: a file, a folder and a link of a third user are refused, those of the user and
// of root are not.
func TestResolveOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 { // who alone can give files away: here all is its own
		if _, err := Resolve(newTree(t).at("dir/file"), os.Geteuid()); err != nil {
			t.Error(err)
		}
		return
	}
	const someone, other = 54321, 54322
	for _, path := range []string{"dir/file", "dir", "link"} {
		r := newTree(t)
		must(t, os.Symlink("dir/file", r.at("link")))
		must(t, os.Lchown(r.at(path), someone, -1))
		if _, err := Resolve(r.at("link"), someone); err != nil {
			t.Errorf("%s of the user: %v", path, err)
		}
		var untrusted *UntrustedError
		for _, uid := range []int{0, other} {
			_, err := Resolve(r.at("link"), uid)
			if !errors.As(err, &untrusted) || untrusted.Path != r.at(path) ||
				!strings.Contains(err.Error(), "belongs to user 54321") {
				t.Errorf("%s of another user than %d: %v", path, uid, err)
			}
		}
	}
}

// TestResolveSecret: a file that every user can read is refused, one of the group is not.
func TestResolveSecret(t *testing.T) {
	t.Parallel()
	for mode, want := range map[fs.FileMode]string{
		0o600: "", 0o400: "", 0o640: "", 0o644: "dir/file (mode 0644); chmod o-r ", 0o604: "every user can read ",
		0o660: "others than the owner can write to ",
	} {
		r := newTree(t)
		must(t, os.Chmod(r.at("dir/file"), mode))
		must(t, os.Symlink("dir/file", r.at("link"))) // whose own mode means nothing
		got, err := ResolveSecret(r.at("link"), os.Geteuid())
		if _, untrusted := errors.AsType[*UntrustedError](err); want == "" && got != r.at("dir/file") ||
			want != "" && (!untrusted || !strings.Contains(err.Error(), want)) {
			t.Errorf("mode %o: got %s, %v", mode, got, err)
		}
	}
	if _, err := ResolveSecret(newTree(t).at("none"), os.Geteuid()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// TestReadOnly: no user writes to what is mounted read-only, whatever its mode says, unless that is so
// for one service alone.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	if _, err := os.Readlink("/proc/1/ns/mnt"); err != nil || os.Geteuid() != 0 {
		return // only root can mount
	}
	r := newTree(t)
	must(t, os.Chmod(r.at("dir"), 0o777))
	resolve := func() error { _, err := Resolve(r.at("dir/file"), 0); return err }
	if resolve() == nil {
		t.Fatal("the folder is writable, and that is not seen")
	}
	readOnly := func() error {
		return errors.Join(unix.Mount(r.at("dir"), r.at("dir"), "", unix.MS_BIND, ""),
			unix.Mount("", r.at("dir"), "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	}
	own := make(chan error, 2)
	go func() {
		runtime.LockOSThread() // which ends with the goroutine
		own <- errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), readOnly())
		own <- resolve()
	}()
	must(t, <-own)
	if <-own == nil {
		t.Error("what is read-only for one process is taken for what no user writes to")
	}
	must(t, readOnly())
	t.Cleanup(func() { must(t, unix.Unmount(r.at("dir"), unix.MNT_DETACH)) })
	if first, _ := os.Readlink("/proc/1/ns/mnt"); first == ownMounts(t) {
		must(t, resolve())
	}
}

func ownMounts(t *testing.T) string {
	t.Helper()
	own, err := os.Readlink("/proc/self/ns/mnt")
	must(t, err)
	return own
}

func TestFolders(t *testing.T) {
	t.Parallel()
	r := newTree(t)
	must(t, os.Symlink("dir/gone", r.at("link")))
	got := Folders(r.at("link"))
	n := len(got)
	want := []Name{{string(r), "link"}, {string(r), "dir"}, {r.at("dir"), "gone"}}
	if n <= len(want) {
		t.Fatalf("got %v", got)
	}
	if diff := cmp.Diff(want, got[n-len(want):]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got[0].Folder != "/" {
		t.Errorf("the first is %v", got[0])
	}
}
