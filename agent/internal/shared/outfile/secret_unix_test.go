//go:build unix

package outfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file for secrets is new or the user's own and private. What it has is kept.
func TestOpenSecret(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "keys.log")
	for range 2 {
		file, err := OpenSecret(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString("line\n"); err != nil {
			t.Error(err)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}
	info, err := os.Stat(path)
	text, errRead := os.ReadFile(path)
	if err != nil || errRead != nil || info.Mode() != 0o600 || string(text) != "line\nline\n" {
		t.Errorf("mode %v, %q, errors %v and %v", info.Mode(), text, err, errRead)
	}
	for _, mode := range []os.FileMode{0o640, 0o602, 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenSecret(path); err == nil || !strings.Contains(err.Error(), "other users may read") {
			t.Errorf("mode %o: error %v", mode, err)
		}
	}
	for name, want := range map[string]string{folder: "", "/dev/null": "no regular file", folder + "/none/keys": "no such file"} {
		if _, err := OpenSecret(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	foreign := filepath.Join(folder, "foreign")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Chown(foreign, 65534, 65534) == nil { // as root only
		if _, err := OpenSecret(foreign); err == nil || !strings.Contains(err.Error(), "another user") {
			t.Errorf("a file of another user: error %v", err)
		}
	}
}
