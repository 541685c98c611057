package pluginhost

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The longest directory that is allowed is short enough for a socket.
func TestTheLongestSocketDirHoldsASocket(t *testing.T) {
	dir := socketsAt(t) + "/"
	dir += strings.Repeat("x", 107-len("/agent4294967295/plugin-dir4294967295/plugin4294967295")-len(dir))
	h, _ := newTestHost(t, func(o *Options) { o.SocketDir = dir })
	passes(t, startSet(t, h, Spec{Name: "a", Validator: "echo"}).Groups()[0], 1)
}

// Plugins start although the directory of the agent was removed, replaced or locked away.
func TestTheSocketDirectoryIsRepaired(t *testing.T) {
	h, _ := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "echo"})
	for name, harm := range map[string]func() error{
		"removed":     func() error { return os.RemoveAll(h.sockets.Path()) },
		"all removed": func() error { return os.RemoveAll(filepath.Dir(h.sockets.Path())) },
		"locked":      func() error { return os.Chmod(h.sockets.Path(), 0) },
		"a file": func() error {
			return errors.Join(os.RemoveAll(h.sockets.Path()), os.WriteFile(h.sockets.Path(), nil, 0o600))
		},
		"a link": func() error {
			return errors.Join(os.RemoveAll(h.sockets.Path()), os.Symlink("/", h.sockets.Path()))
		},
		"another": func() error {
			return errors.Join(os.RemoveAll(h.sockets.Path()), os.MkdirAll(h.sockets.Path()+"/a/b", 0o755))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := harm(); err != nil {
				t.Fatal(err)
			}
			passes(t, set.Groups()[0], 1)
			passes(t, startSet(t, h, Spec{Name: "b", Validator: "echo"}).Groups()[0], 1)
			another, err := New(Options{SocketDir: filepath.Dir(h.sockets.Path())})
			if err != nil {
				t.Fatal(err)
			}
			another.Close()
			if _, err := os.Stat(h.sockets.Path()); err != nil {
				t.Errorf("the directory is not the agent's: %v", err)
			}
		})
	}
}
