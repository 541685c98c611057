package certificate

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

// TestDenied: a file that the agent's user may not read is an error that says whose it is, and how
// to give it away. Root, which may read all, gives up that right in one thread.
func TestDenied(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	cert, key := ca.Issue(t, certtest.Template{CN: "board"})
	folder, err := os.MkdirTemp("", "denied")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	closed := filepath.Join(folder, "closed")
	for name, from := range map[string]string{"cert.pem": cert, "key.pem": key, "closed/ca.pem": ca.File} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, readFile(t, from), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for path, mode := range map[string]os.FileMode{folder: 0o755, filepath.Join(folder, "key.pem"): 0o200, closed: 0} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	defer os.Chmod(closed, 0o755) //nolint:errcheck // the folder is removed next

	loaded := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // which ends with the goroutine
		if os.Geteuid() == 0 {
			const other = 65534
			if _, err := unix.SetfsuidRetUid(other); err != nil {
				loaded <- err
				return
			}
		}
		_, err := Load(Source{Certificate: filepath.Join(folder, "cert.pem"), Key: filepath.Join(folder, "key.pem"),
			ClientCA: filepath.Join(closed, "ca.pem")})
		loaded <- err
	}()
	err = <-loaded
	for _, want := range []string{
		"key " + folder + "/key.pem: permission denied: it belongs to user ",
		", its mode is 0200, and this is user ",
		"; give it to this user's group with: chgrp GROUP " + folder + "/key.pem && chmod 640 " + folder + "/key.pem",
		"client_ca " + closed + "/ca.pem: permission denied: user ",
		" may not enter one of its folders; find it with: namei -l " + closed + "/ca.pem",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
	if err != nil && strings.Contains(err.Error(), "cert.pem") {
		t.Errorf("the readable file is refused: %v", err)
	}
}
