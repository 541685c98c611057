package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// RuntimeDir is the folder for sockets of agents of this user: what systemd gives, else the
// place that the file hierarchy and the XDG base directory specification have for it.
func RuntimeDir() string {
	if dir, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":"); dir != "" {
		return dir
	}
	if os.Geteuid() == 0 {
		return "/run/stepagent"
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "stepagent")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("stepagent-%d", os.Geteuid()))
}

// ownRuntimeDir makes the folder if there is none, and refuses one in which others than this
// user and root may put things: the temporary folder is everybody's, and whoever makes ours
// there first would own our sockets.
func ownRuntimeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the folder for sockets: %w; name another with the variable RUNTIME_DIRECTORY", err)
	}
	for _, look := range []func(string) (os.FileInfo, error){os.Lstat, os.Stat} { // a link, and what it leads to
		info, err := look(dir)
		if err != nil {
			return fmt.Errorf("the folder for sockets: %w", err)
		}
		if problem := foreign(info, os.Geteuid()); problem != "" {
			return fmt.Errorf("the folder for sockets, %s, %s; remove it, or name another with the variable RUNTIME_DIRECTORY", dir, problem)
		}
	}
	return nil
}

// foreign says in what way a file is not the user's alone; empty when it is.
func foreign(info os.FileInfo, user int) string {
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return "has no owner"
	case owner.Uid != 0 && int(owner.Uid) != user:
		return fmt.Sprintf("belongs to the user with the id %d", owner.Uid)
	case info.Mode().Type() != os.ModeSymlink && info.Mode().Perm()&0o022 != 0:
		return fmt.Sprintf("may be written by others (mode %#o)", info.Mode().Perm())
	}
	return ""
}

// maxTempDirBytes is how long the path of the temporary folder may be, so that the paths of
// sockets some folders below it fit the 107 bytes that unix(7) has for them.
const maxTempDirBytes = 24

// TempRuntimeDir makes a folder for the sockets of an agent that serves its own program
// alone. The caller removes it.
func TempRuntimeDir() (string, error) {
	base := os.TempDir()
	if len(base) > maxTempDirBytes {
		base = "/tmp"
	}
	dir, err := os.MkdirTemp(base, "stepagent-")
	if err != nil {
		return "", fmt.Errorf("a folder for sockets: %w", err)
	}
	return dir, nil
}
