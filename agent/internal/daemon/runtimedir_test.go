package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRuntimeDirIsOurs or there is no agent.
func TestRuntimeDirIsOurs(t *testing.T) {
	base := t.TempDir()
	made := func(name string, mode os.FileMode) string {
		dir := filepath.Join(base, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
		return dir
	}
	linked := func(name, to string) string {
		if err := os.Symlink(to, filepath.Join(base, name)); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(base, name)
	}
	for dir, want := range map[string]string{
		filepath.Join(base, "new", "folder"):       "",
		made("ours", 0o700):                        "",
		made("systemd's", 0o755):                   "",
		linked("link", made("behind", 0o750)):      "",
		made("group", 0o770):                       "group, may be written by others (mode 0770)",
		made("all", 0o777):                         "all, may be written by others (mode 0777)",
		linked("trap", made("everybody's", 0o777)): "trap, may be written by others",
	} {
		err := ownRuntimeDir(dir)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want %q", dir, err, want)
		}
	}
}

// TestForeignOwner: root's are as good as ours, and nobody else's.
func TestForeignOwner(t *testing.T) {
	dir := t.TempDir()
	const nobody = 65534
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Lstat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := foreign(info, os.Geteuid()+1); !strings.HasPrefix(got, "belongs to the user with the id ") {
		t.Errorf("another's: %q", got)
	}
	root, err := os.Lstat("/")
	if err != nil {
		t.Fatal(err)
	}
	if got := foreign(root, os.Geteuid()+1); got != "" {
		t.Errorf("root's: %q", got)
	}
}
