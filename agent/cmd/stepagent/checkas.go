package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/agent/systemd"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// defaultUnit is the service that the packages install.
const defaultUnit = "stepagent.service"

// A checker is the user as whom a config is checked.
type checker struct {
	name     string // of the user; empty for the current one
	uid, gid int
	groups   []int
	home     string
	unit     *systemd.Unit // whose user that is; nil for none
	note     string        // what is not checked; empty for nothing
	foreign  bool          // the agent runs as another user, so that rights cannot be checked
}

// newChecker returns the user of the flag --user or, without it, of the service. Only root can check
// as another user.
func newChecker(ctx context.Context, userName, unitName string) (*checker, error) {
	if userName != "" {
		k, err := asUser(userName, "", nil)
		if err != nil {
			return nil, cli.Usagef("--user: %w", err)
		}
		if os.Geteuid() != 0 && os.Geteuid() != k.uid {
			return nil, cli.Usagef("--user: only root can check as another user; use sudo")
		}
		return k, nil
	}
	unit, err := systemd.Lookup(ctx, unitName)
	switch {
	case err != nil:
		return unknownUser(unitName, err), nil
	case unit == nil && os.Geteuid() == 0:
		return &checker{note: fmt.Sprintf("checked as root, as there is no service %s here; where the agent runs as another user, add --user NAME",
			unitName)}, nil
	case unit == nil:
		return &checker{}, nil
	}
	k, err := asUser(unit.User, unit.Group, unit.Groups)
	if err != nil {
		return unknownUser(unit.Name, err), nil
	}
	k.unit = unit
	if euid := os.Geteuid(); euid != 0 && euid != k.uid {
		return &checker{foreign: true, note: fmt.Sprintf("not checked: whether %s, as whom %s runs, can read and execute all of it; use sudo",
			k.name, unit.Name)}, nil
	}
	if unit.Root != "" {
		k.note = fmt.Sprintf("not checked: what %s has in its own root, %s", unit.Name, unit.Root)
	}
	return k, nil
}

// unknownUser returns the checker of a service whose user cannot be found.
func unknownUser(unit string, err error) *checker {
	return &checker{note: fmt.Sprintf("not checked: whether the user of %s can read and execute all of it: %v", unit, err)}
}

// asUser looks up a user, by name or id, with the groups that a service of it has.
func asUser(name, group string, further []string) (*checker, error) {
	name = cmp.Or(name, "root")
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return nil, fmt.Errorf("there is no user %s", name)
		}
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("the groups of %s: %w", name, err)
	}
	k := &checker{name: u.Username, home: u.HomeDir}
	if k.uid, err = strconv.Atoi(u.Uid); err != nil {
		return nil, err
	}
	if k.gid, err = strconv.Atoi(u.Gid); err != nil {
		return nil, err
	}
	for _, id := range ids {
		n, err := strconv.Atoi(id)
		if err != nil {
			return nil, err
		}
		k.groups = append(k.groups, n)
	}
	if group != "" {
		if k.gid, err = daemon.LookupGroup(group); err != nil {
			return nil, err
		}
	}
	for _, name := range further {
		id, err := daemon.LookupGroup(name)
		if err != nil {
			return nil, err
		}
		k.groups = append(k.groups, id)
	}
	return k, nil
}

// isOwn reports whether a config is the one that the user's agent reads, so that the user must be
// able to read it. Another file may still have to be installed.
func (k *checker) isOwn(file string) bool {
	if k.unit == nil {
		return k.name != ""
	}
	path, err := filepath.Abs(file)
	return err == nil && path == k.unit.Variable(configVariable)
}

// switchUser makes this process run as the user from now on.
func (k *checker) switchUser() error {
	if k.name == "" || os.Geteuid() == k.uid {
		return nil
	}
	err := syscall.Setgroups(k.groups)
	if err == nil {
		err = syscall.Setgid(k.gid)
	}
	if err == nil {
		err = syscall.Setuid(k.uid)
	}
	if err == nil {
		// A process that changes its user loses access to its own files in /proc, see prctl(2).
		err = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	}
	if err != nil {
		return fmt.Errorf("become the user %s, to check as that: %w; check as yourself with --user root", k.name, err)
	}
	return os.Setenv("HOME", k.home)
}

// hidden returns which files of a config the service cannot see or execute.
func (k *checker) hidden(c *config.Loaded) error {
	if k.unit == nil {
		return nil
	}
	var problems config.Problems
	if file := c.File(); k.isOwn(file) {
		if setting := k.unit.Hides(file, false); setting != "" {
			problems = append(problems, config.Problem{Place: config.Place{File: file},
				Message: fmt.Sprintf("%s does not see this file, by its %s; put the config elsewhere", k.unit.Name, setting)})
		}
	}
	for i, v := range c.Validators {
		if v.Path == "" {
			continue
		}
		path, setting := v.Path, k.unit.Hides(v.Path, true)
		if real, err := filepath.EvalSymlinks(path); err == nil && setting == "" {
			path, setting = real, k.unit.Hides(real, true)
		}
		if setting != "" {
			problems = append(problems, c.Problem(fmt.Sprintf("validators[%d].path", i), fmt.Sprintf(
				"%s does not execute %s, by its %s; install the program elsewhere, such as in /usr/local/lib/stepagent, "+
					"or let the service have it with BindReadOnlyPaths= in a drop-in", k.unit.Name, path, setting)))
		}
	}
	for _, f := range c.NamedFiles() {
		if setting := k.unit.Hides(f.Path, false); setting != "" {
			problems = append(problems, c.Problem(f.Key, fmt.Sprintf("%s does not see %s, by its %s; put the file elsewhere",
				k.unit.Name, f.Path, setting)))
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// explain adds the user of the check to problems of files.
func (k *checker) explain(err error) error {
	var problems config.Problems
	if !errors.As(err, &problems) {
		return err
	}
	for i, p := range problems {
		if aboutFile := p.Line == 0 && p.Source == ""; aboutFile || strings.HasSuffix(p.Key, ".path") {
			problems[i].Message += k.as()
		}
	}
	return problems
}

// as returns the user of the check, to end a sentence; empty for the current user.
func (k *checker) as() string {
	switch {
	case k.name == "":
		return ""
	case k.unit == nil:
		return fmt.Sprintf(" (checked as the user %s)", k.name)
	default:
		return fmt.Sprintf(" (checked as the user %s of %s)", k.name, k.unit.Name)
	}
}
