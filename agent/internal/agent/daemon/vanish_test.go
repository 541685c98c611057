package daemon_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
)

// eventually waits for what is to happen within a second or two.
func eventually(t *testing.T, what string, ok func() error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// TestFolderVanishes: the admin socket comes back and plugins are started again, in the same place or,
// where that cannot be made again, in the next.
func TestFolderVanishes(t *testing.T) {
	o, _ := options(t, "port = 0\n[admin]\nmode = \"0660\"\n")
	base := o.RuntimeDir
	dir, next := filepath.Join(base, "a", "run"), filepath.Join(base, "b", "run")
	t.Setenv("RUNTIME_DIRECTORY", dir)
	t.Setenv("STATE_DIRECTORY", filepath.Dir(next))
	o.RuntimeDir = ""
	a := start(t, o)
	port := a.Status().Address[strings.LastIndexByte(a.Status().Address, ':')+1:]
	name := "admin-" + port + ".sock"
	for _, test := range []struct {
		name    string
		vanish  func(socket string) error
		plugins bool // their sockets vanish too
		back    string
	}{
		{"the socket alone", os.Remove, false, dir},
		{"replaced", func(socket string) error {
			return errors.Join(os.Remove(socket), os.Symlink("/nowhere", socket))
		}, false, dir},
		{"removed", func(string) error { return os.RemoveAll(dir) }, true, dir},
		{"for good", func(string) error { // as the folder of a user who has logged out
			return errors.Join(os.RemoveAll(filepath.Dir(dir)), os.WriteFile(filepath.Dir(dir), nil, 0o600))
		}, true, next},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := a.Status().Validators[0].PID
			if err := test.vanish(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			if test.plugins {
				if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			socket := filepath.Join(test.back, name)
			eventually(t, "the agent is asked", func() error {
				s, err := daemon.Query[api.Status](t.Context(), socket, daemon.StatusRequest)
				if err == nil && (s.Validators[0].PID == 0 || (s.Validators[0].PID == before) == test.plugins || len(s.Trouble) > 0) {
					err = fmt.Errorf("no other process, or one without need: %+v", s)
				}
				return err
			})
			if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o660 {
				t.Errorf("the socket: %v, %v", info, err)
			}
		})
	}
}

// TestAdminSocketIsFor whom the config says: the mode and the group of the socket, and the way to it.
func TestAdminSocketIsFor(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]struct{ socket, dir fs.FileMode }{
		"":                  {0o600, 0o700},
		"mode = \"0666\"\n": {0o666, 0o755},
		fmt.Sprintf("mode = \"0660\"\ngroup = \"%d\"\n", os.Getegid()): {0o660, 0o755},
	} {
		o, _ := options(t, "port = 0\n[admin]\n"+config)
		a := start(t, o)
		port := a.Status().Address[strings.LastIndexByte(a.Status().Address, ':')+1:]
		for path, mode := range map[string]fs.FileMode{
			filepath.Join(o.RuntimeDir, "admin-"+port+".sock"): want.socket, o.RuntimeDir: want.dir, filepath.Join(o.RuntimeDir, "plugins"): 0o700,
		} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
				t.Errorf("%q: %s: %v, %v, want %#o", config, path, info.Mode(), err, mode)
			}
		}
	}
	o, _ := options(t, "port = 0\n[admin]\nmode = \"0660\"\ngroup = \"no-such-group\"\n")
	const want = "agent.toml:4:1: admin.group: this machine has no group \"no-such-group\""
	if _, err := daemon.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a start: %v", err)
	}
	c, err := o.Load()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Check(t.Context(), c, o); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a check: %v", err)
	}
}
