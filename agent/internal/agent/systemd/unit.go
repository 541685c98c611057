package systemd

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Unit describes a service: as which user it runs and which files it can access.
type Unit struct {
	Name        string   // such as stepagent.service
	User, Group string   // names or ids; empty for root, and for the group of the user
	Groups      []string // supplementary groups
	Environment []string // variables, as NAME=VALUE
	Root        string   // root directory or image; empty for that of the machine

	rules []pathRule
}

// A pathRule applies to a path and everything below.
type pathRule struct {
	path       string
	setting    string // that denies access; empty where access is allowed again
	noExecOnly bool   // only execution is denied
}

// lookupTime bounds how long the service manager may take to answer.
const lookupTime = 5 * time.Second

// properties are those requested of a unit; see org.freedesktop.systemd1(5).
const properties = "Id,LoadState,User,Group,SupplementaryGroups,Environment,RootDirectory,RootImage,ProtectHome,PrivateTmp," +
	"InaccessiblePaths,TemporaryFileSystem,NoExecPaths,ExecPaths,BindPaths,BindReadOnlyPaths"

// Lookup asks the service manager about a unit. It returns nil if the machine was not booted with
// systemd or has no such unit.
func Lookup(ctx context.Context, name string) (*Unit, error) {
	if _, err := os.Stat("/run/systemd/system"); err != nil { // sd_booted(3)
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "systemctl", "show", "--property="+properties, "--", name)
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ask systemd about %s: %w %s", name, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return parseUnit(text), nil
}

// parseUnit parses the output of systemctl show; nil for a unit that does not exist.
func parseUnit(text []byte) *Unit {
	values := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok {
			values[key] = value
		}
	}
	if values["LoadState"] != "loaded" {
		return nil
	}
	u := &Unit{Name: values["Id"], User: values["User"], Group: values["Group"],
		Groups: strings.Fields(values["SupplementaryGroups"]), Environment: splitWords(values["Environment"]),
		Root: cmp.Or(values["RootDirectory"], values["RootImage"])}
	deny := func(setting, value string, paths ...string) {
		for _, path := range paths {
			u.rules = append(u.rules, pathRule{path, setting + "=" + value, setting == "NoExecPaths"})
		}
	}
	switch value := values["ProtectHome"]; value {
	case "yes", "tmpfs":
		deny("ProtectHome", value, "/home", "/root", "/run/user")
	}
	switch value := values["PrivateTmp"]; value {
	case "yes", "disconnected":
		deny("PrivateTmp", value, "/tmp", "/var/tmp")
	}
	for _, setting := range []string{"InaccessiblePaths", "TemporaryFileSystem", "NoExecPaths"} {
		for _, entry := range splitWords(values[setting]) {
			path, _, _ := strings.Cut(strings.TrimLeft(entry, "-+"), ":")
			deny(setting, path, path)
		}
	}
	for _, setting := range []string{"ExecPaths", "BindPaths", "BindReadOnlyPaths"} {
		for _, entry := range splitWords(values[setting]) {
			parts := strings.Split(strings.TrimLeft(entry, "-+"), ":") // source:destination:options
			u.rules = append(u.rules, pathRule{path: parts[min(1, len(parts)-1)]})
		}
	}
	return u
}

// word matches a word of a list of systemctl: double quotes are around one with spaces.
var word = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`"[^"]*"|\S+`) })

func splitWords(list string) (all []string) {
	for _, found := range word().FindAllString(list, -1) {
		all = append(all, strings.Trim(found, `"`))
	}
	return all
}

// Hides returns the setting that keeps the service from accessing the file of an absolute path or, if
// executed is set, from executing it; empty for none.
func (u *Unit) Hides(path string, executed bool) string {
	var longest pathRule // wins
	for _, r := range u.rules {
		below, err := filepath.Rel(r.path, path)
		inside := err == nil && below != ".." && !strings.HasPrefix(below, "../")
		if inside && len(r.path) >= len(longest.path) && (executed || !r.noExecOnly) {
			longest = r
		}
	}
	return longest.setting
}

// Variable returns the value of an environment variable of the unit; empty for none.
func (u *Unit) Variable(name string) string {
	for _, entry := range slices.Backward(u.Environment) { // the last one wins
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}
