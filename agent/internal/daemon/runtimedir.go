package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
