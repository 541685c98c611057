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
	"slices"
	"strings"
	"time"
)

// A Unit is what the service manager says of a service: as whom it runs and what it can see.
type Unit struct {
	// Name is such as stepagent.service.
	Name string
	// User and Group are names or ids; empty for root, and for the group of the user.
	User, Group string
	// Groups are its further groups.
	Groups []string
	// Environment has its variables, as NAME=VALUE.
	Environment []string
	// Root is its root directory or image, where it has one of its own.
	Root string

	views []view
}

// A view says what a service has at a path and below: nothing of the machine's, or the same again.
type view struct {
	path string
	// because is the setting that hides it; empty where it is there.
	because string
	// runs says that it is there, and is not executed.
	runs bool
}

// lookupTime bounds how long the service manager may take to answer.
const lookupTime = 5 * time.Second

// properties are what is asked about a unit; see org.freedesktop.systemd1(5).
const properties = "Id,LoadState,User,Group,SupplementaryGroups,Environment,RootDirectory,RootImage,ProtectHome,PrivateTmp," +
	"InaccessiblePaths,TemporaryFileSystem,NoExecPaths,ExecPaths,BindPaths,BindReadOnlyPaths"

// Lookup asks the service manager about a unit. It returns none where the machine was not booted with
// systemd, or has no such unit.
func Lookup(ctx context.Context, name string) (*Unit, error) {
	if _, err := os.Stat("/run/systemd/system"); err != nil { // sd_booted(3)
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	var complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, "systemctl", "show", "--property="+properties, "--", name)
	cmd.Stderr = &complaint
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ask systemd about %s: %w %s", name, err, bytes.TrimSpace(complaint.Bytes()))
	}
	return parseUnit(text), nil
}

// parseUnit takes what systemctl show prints; nil for a unit that is not there.
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
		Groups: strings.Fields(values["SupplementaryGroups"]), Environment: words(values["Environment"]),
		Root: cmp.Or(values["RootDirectory"], values["RootImage"])}
	hide := func(setting, value string, paths ...string) {
		for _, path := range paths {
			u.views = append(u.views, view{path: path, because: setting + "=" + value})
		}
	}
	switch value := values["ProtectHome"]; value {
	case "yes", "tmpfs":
		hide("ProtectHome", value, "/home", "/root", "/run/user")
	}
	switch value := values["PrivateTmp"]; value {
	case "yes", "disconnected":
		hide("PrivateTmp", value, "/tmp", "/var/tmp")
	}
	for _, setting := range []string{"InaccessiblePaths", "TemporaryFileSystem"} {
		for _, word := range words(values[setting]) {
			path, _, _ := strings.Cut(strings.TrimLeft(word, "-+"), ":")
			hide(setting, path, path)
		}
	}
	for _, word := range words(values["NoExecPaths"]) {
		path := strings.TrimLeft(word, "-+")
		u.views = append(u.views, view{path: path, because: "NoExecPaths=" + path, runs: true})
	}
	for _, setting := range []string{"ExecPaths", "BindPaths", "BindReadOnlyPaths"} {
		for _, word := range words(values[setting]) {
			parts := strings.Split(strings.TrimLeft(word, "-+"), ":") // source:destination:options
			u.views = append(u.views, view{path: parts[min(1, len(parts)-1)]})
		}
	}
	return u
}

// words splits a list as systemctl prints it: by spaces, a word with spaces in double quotes.
func words(list string) (all []string) {
	for list = strings.TrimSpace(list); list != ""; list = strings.TrimSpace(list) {
		if rest, quoted := strings.CutPrefix(list, `"`); quoted {
			word, after, _ := strings.Cut(rest, `"`)
			all, list = append(all, word), after
			continue
		}
		word, after, _ := strings.Cut(list, " ")
		all, list = append(all, word), after
	}
	return all
}

// Hides returns the setting of the unit that keeps the service from seeing the machine's file of an
// absolute path or, where it is to be executed, from executing it; empty where none does.
func (u *Unit) Hides(path string, executed bool) string {
	var at view
	for _, v := range u.views {
		below, err := filepath.Rel(v.path, path)
		inside := err == nil && below != ".." && !strings.HasPrefix(below, "../")
		if inside && len(v.path) >= len(at.path) && (executed || !v.runs) {
			at = v
		}
	}
	return at.because
}

// Variable returns the value of a variable of the unit's environment; empty where it has none.
func (u *Unit) Variable(name string) string {
	for _, entry := range slices.Backward(u.Environment) { // the last one counts
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}
