package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestRuntimeDirIsOurs or there is no agent.
func TestRuntimeDirIsOurs(t *testing.T) {
	t.Parallel()
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
		err := makeRuntimeDir(dir)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want %q", dir, err, want)
		}
	}
}

// TestAdviceHarmsNobody: what is said about the folder of another agent does not end that agent.
func TestAdviceHarmsNobody(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "stepagent")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	link := dir + "-link"
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link) // as good as another's: the advice must not be about what it leads to
	if err != nil {
		t.Fatal(err)
	}
	got := advice(dir, info)
	if want := "leave it as it is, an agent may be using it, and give this agent a folder of its own"; !strings.HasPrefix(got, want) ||
		!strings.Contains(got, "RUNTIME_DIRECTORY="+dir+"-") {
		t.Errorf("got %q", got)
	}
	info, err = os.Lstat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := advice(dir, info); !strings.HasPrefix(got, "take that right away, with: chmod go-w "+dir) || strings.Contains(got, "remove") {
		t.Errorf("got %q", got)
	}
}

// TestFolders: where agents of each kind of user keep their sockets, and where commands look.
func TestFolders(t *testing.T) {
	set := func(runtime, state, xdg string) {
		t.Setenv("RUNTIME_DIRECTORY", runtime)
		t.Setenv("STATE_DIRECTORY", state)
		t.Setenv("XDG_RUNTIME_DIR", xdg)
	}
	set("/run/a:/run/b", "/var/lib/a:/var/lib/b", "/run/user/7")
	if got := fmt.Sprint(RuntimeDirs(), SearchDirs()); got != "[/run/a /var/lib/a/run] [/run/a /var/lib/a/run]" {
		t.Errorf("a service: %s", got)
	}
	set("", "", "/run/user/7")
	own := RuntimeDirs()
	if root := os.Geteuid() == 0; root && fmt.Sprint(own) != "[/run/stepagent]" ||
		!root && fmt.Sprint(own) != fmt.Sprintf("[/run/user/7/stepagent %s/stepagent-%d]", os.TempDir(), os.Geteuid()) {
		t.Errorf("a user: %s", own)
	}
	if got := SearchDirs(); got[0] != own[0] || !slices.Contains(got, serviceRuntimeDir) || !slices.Contains(got, serviceStateDir+"/run") {
		t.Errorf("the commands of a user: %s", got)
	}
}

// TestForeignOwner: folders of root are accepted like our own, those of other users are not.
func TestForeignOwner(t *testing.T) {
	t.Parallel()
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
