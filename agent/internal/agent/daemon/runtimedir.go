package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// The folders of the service, as its unit has them: for sockets, and for state.
const (
	serviceRuntimeDir = "/run/stepagent"
	serviceStateDir   = "/var/lib/stepagent"
)

// runtimeDirVariable names the folder for sockets: systemd.exec(5).
const runtimeDirVariable = "RUNTIME_DIRECTORY"

// RuntimeDirs returns the folders for sockets of an agent of this user: that of systemd, else those
// of the file hierarchy and the XDG base directory specification. An agent uses the first that it
// can, and the next when that is removed: that of XDG is removed when the user logs out, and a
// service cannot recreate its own.
func RuntimeDirs() []string {
	if given := os.Getenv(runtimeDirVariable); given != "" {
		return append([]string{firstOf(given)}, stateRuntimeDir(os.Getenv("STATE_DIRECTORY"))...)
	}
	if os.Geteuid() == 0 {
		return []string{serviceRuntimeDir}
	}
	temporary := filepath.Join(os.TempDir(), fmt.Sprintf("stepagent-%d", os.Geteuid()))
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return []string{filepath.Join(dir, "stepagent"), temporary}
	}
	return []string{temporary}
}

// firstOf returns the first folder of a variable that systemd sets.
func firstOf(list string) string {
	first, _, _ := strings.Cut(list, ":")
	return first
}

// stateRuntimeDir returns where a service has its sockets when its folder for them is gone: in that
// of its state, which persists and, unlike its temporary folder, is visible to others.
func stateRuntimeDir(state string) []string {
	if state == "" {
		return nil
	}
	return []string{filepath.Join(firstOf(state), "run")}
}

// SearchDirs returns the folders in which commands search for a running agent: those of this user's
// agents, then those of the service. The variable RUNTIME_DIRECTORY replaces them.
func SearchDirs() []string {
	dirs := RuntimeDirs()
	if os.Getenv(runtimeDirVariable) == "" {
		dirs = append(dirs, serviceRuntimeDir)
		dirs = append(dirs, stateRuntimeDir(serviceStateDir)...)
	}
	slices.Sort(dirs[1:])
	dirs = append(dirs[:1], slices.Compact(dirs[1:])...)
	return slices.DeleteFunc(dirs, func(dir string) bool {
		// Any user may have made one in the temporary folder.
		info, err := os.Lstat(dir)
		return err == nil && strings.HasPrefix(dir, os.TempDir()) && foreign(info, os.Geteuid()) != ""
	})
}

// usable makes the first of the folders that can be made and is this user's alone, and returns it.
func usable(dirs []string) (string, error) {
	var failed error
	for _, dir := range dirs {
		err := makeRuntimeDir(dir)
		if err == nil {
			return dir, nil
		}
		failed = errors.Join(failed, err)
	}
	return "", failed
}

// makeRuntimeDir makes the folder if there is none. It refuses one that others than this user and
// root may write to: in the shared temporary folder another user could make it first and own our
// sockets.
func makeRuntimeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the folder for sockets: %w; name another with the variable %s", err, runtimeDirVariable)
	}
	for _, look := range []func(string) (os.FileInfo, error){os.Lstat, os.Stat} { // a link, and what it leads to
		info, err := look(dir)
		if err != nil {
			return fmt.Errorf("the folder for sockets: %w", err)
		}
		if problem := foreign(info, os.Geteuid()); problem != "" {
			return fmt.Errorf("the folder for sockets, %s, %s; %s", dir, problem, advice(dir, info))
		}
	}
	return nil
}

// advice returns what to do about a folder that others may write to: never to remove it, as it may
// hold the sockets of a running agent.
func advice(dir string, info os.FileInfo) string {
	another := fmt.Sprintf("give this agent a folder of its own, here and for the commands that ask it: %s=%s-%d",
		runtimeDirVariable, dir, os.Geteuid())
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) == os.Geteuid() && info.Mode().Type() != os.ModeSymlink {
		return fmt.Sprintf("take that right away, with: chmod go-w %s; or %s", dir, another)
	}
	return "leave it as it is, an agent may be using it, and " + another
}

// foreign returns why a file is not the user's alone; empty when it is.
func foreign(info os.FileInfo, user int) string {
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return "has no owner"
	case owner.Uid != 0 && int(owner.Uid) != user:
		return fmt.Sprintf("belongs to the user with the id %d%s", owner.Uid, nameOf(int(owner.Uid)))
	case info.Mode().Type() != os.ModeSymlink && info.Mode().Perm()&0o022 != 0:
		return fmt.Sprintf("may be written by others (mode %#o)", info.Mode().Perm())
	}
	return ""
}

// nameOf returns the name of a user in brackets; empty when it is unknown.
func nameOf(id int) string {
	found, err := user.LookupId(strconv.Itoa(id))
	if err != nil {
		return ""
	}
	return " (" + found.Username + ")"
}

// maxTempDirBytes is how long the path of the temporary folder may be, so that the paths of
// sockets some folders below it fit the 107 bytes that unix(7) has for them.
const maxTempDirBytes = 24

// TempRuntimeDir makes a folder for the sockets of an agent that serves its own program only. The
// caller removes it.
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
