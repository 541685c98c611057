package program

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A file that may be executed by its mode, and not by how its file system is mounted.
func TestP06MountedNoExec(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "plugin")
	if err := unix.Mount("none", dir, "tmpfs", unix.MS_NOEXEC, "mode=755"); err != nil {
		return // only root can mount
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Resolve(path)
	if err == nil || !strings.Contains(err.Error(), path+" is on a file system that is mounted noexec") ||
		strings.Contains(err.Error(), "chmod") {
		t.Errorf("got %v", err)
	}
}

func TestP06Permissions(t *testing.T) {
	sound := func(t *testing.T) string {
		path := filepath.Join(t.TempDir(), "dir", "plugin")
		if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		spoil func(t *testing.T, path string) string
		want  string
	}{
		"sound": {func(_ *testing.T, path string) string { return path }, ""},
		"read by others only": {func(t *testing.T, path string) string {
			must(t, os.Chmod(path, 0o644))
			return path
		}, "is not executable; chmod 755"},
		"missing":      {func(_ *testing.T, path string) string { return path + "x" }, "there is no file"},
		"below a file": {func(_ *testing.T, path string) string { return path + "/x" }, "there is no file"},
		"directory":    {func(_ *testing.T, path string) string { return filepath.Dir(path) }, "is a folder; name the program in it"},
		"link": {func(t *testing.T, path string) string {
			must(t, os.Symlink(path, path+"x"))
			return path + "x"
		}, ""},
		"link to nothing": {func(t *testing.T, path string) string {
			must(t, os.Symlink("none", path+"x"))
			return path + "x"
		}, "/dir/none; correct the link or install the plugin"},
		"link to what others write": {func(t *testing.T, path string) string {
			must(t, os.Symlink(path, path+"x"))
			must(t, os.Chmod(path, 0o757))
			return path + "x"
		}, "others than the owner can write to"},
		"link above": {func(t *testing.T, path string) string {
			link := filepath.Join(filepath.Dir(filepath.Dir(path)), "link")
			must(t, os.Symlink(filepath.Dir(path), link))
			return filepath.Join(link, "plugin")
		}, ""},
		"written by others": {func(t *testing.T, path string) string {
			must(t, os.Chmod(path, 0o757))
			return path
		}, "others than the owner can write to"},
		"written by the group": {func(t *testing.T, path string) string {
			must(t, os.Chmod(path, 0o775))
			return path
		}, "others than the owner can write to"},
		"directory written by others": {func(t *testing.T, path string) string {
			must(t, os.Chmod(filepath.Dir(path), 0o777))
			return path
		}, "others than the owner can write to"},
		"directory behind a link written by others": {func(t *testing.T, path string) string {
			link := filepath.Join(t.TempDir(), "link")
			must(t, os.Symlink(filepath.Dir(path), link))
			must(t, os.Chmod(filepath.Dir(filepath.Dir(path)), 0o777))
			return filepath.Join(link, "plugin")
		}, "others than the owner can write to"},
		"sticky directory": {func(t *testing.T, path string) string {
			must(t, os.Chmod(filepath.Dir(path), 0o777|os.ModeSticky))
			return path
		}, ""},
	}
	if os.Geteuid() == 0 { // only root can give files away
		tests["of another user"] = struct {
			spoil func(t *testing.T, path string) string
			want  string
		}{func(t *testing.T, path string) string {
			must(t, os.Chown(path, 54321, -1))
			return path
		}, "belongs to user 54321"}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := sound(t)
			got, err := Resolve(test.spoil(t, path))
			if err == nil && got != path {
				t.Errorf("it leads to %s, want %s", got, path)
			}
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}
