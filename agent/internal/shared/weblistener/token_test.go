package weblistener_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/shared/weblistener"
)

// TestTokenIsMadeOnce: agents that start at once get the same token, of a file for them alone.
func TestTokenIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	var agents sync.WaitGroup
	tokens := make([]string, 8)
	for i := range tokens {
		agents.Go(func() {
			var err error
			if tokens[i], err = weblistener.Token(path); err != nil {
				t.Error(err)
			}
		})
	}
	agents.Wait()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	for _, got := range tokens {
		if got != tokens[0] || len(got) < 20 {
			t.Errorf("the tokens are %q", tokens)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("the folder has %v, %v", left, err)
	}
}

func TestTokenFiles(t *testing.T) {
	const good = "abcdefghijklmnop"
	for name, tt := range map[string]struct {
		content string
		mode    os.FileMode
		want    string // a token, or a part of the error
	}{
		"own":                  {good, 0o600, good},
		"with a line's end":    {good + "\n", 0o400, good},
		"read by the group":    {good, 0o640, good},
		"read by others":       {good, 0o604, "may be read or changed by others (mode 0604)"},
		"written by the group": {good, 0o620, "can write to"},
		"empty":                {"", 0o600, "holds no token"},
		"short":                {good[1:], 0o600, "holds no token"},
		"long":                 {strings.Repeat("x", 257), 0o600, "holds no token"},
		"two words":            {good + " " + good, 0o600, "holds no token"},
		"not ASCII":            {good + "ä", 0o600, "holds no token"},
	} {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(tt.content), tt.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, tt.mode); err != nil {
			t.Fatal(err)
		}
		got, err := weblistener.Token(path)
		if tt.want == good && (got != good || err != nil) || tt.want != good && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	folder := t.TempDir()
	if _, err := weblistener.Token(folder); err == nil || !strings.Contains(err.Error(), "is no file") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := weblistener.Token(filepath.Join(folder, "none", "token")); err == nil || !strings.Contains(err.Error(), "none/token cannot be made: no such file or directory; make its folder") {
		t.Errorf("in a folder that is missing: %v", err)
	}
	open := filepath.Join(folder, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := weblistener.Token(filepath.Join(open, "token")); err == nil || !strings.Contains(err.Error(), "can write to") {
		t.Errorf("in a folder that others can write to: %v", err)
	}
}
