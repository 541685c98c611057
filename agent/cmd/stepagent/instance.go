package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
)

// Where stepagent@NAME.service has its config and its folders, see systemd.exec(5).
const (
	instanceConfig  = "/etc/stepagent/%s.toml"
	instanceSockets = "/run/stepagent@%s"
	instanceState   = "/var/lib/stepagent@%s"
	instanceFlag    = "instance"
)

// instanceName matches the names of instances that need no escapes, systemd.unit(5).
var instanceName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9:_][A-Za-z0-9:_.-]*$`) })

const maxInstanceName = 64 // bytes

// addInstance adds the flag --instance, which sets the environment of the service stepagent@NAME, so
// that the command finds the same files as the service.
func addInstance(cmd *cobra.Command) {
	cmd.Flags().String(instanceFlag, "", "`NAME` of the agent among several, as in the service stepagent@NAME")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if !cmd.Flags().Changed(instanceFlag) {
			return nil
		}
		name, err := cmd.Flags().GetString(instanceFlag)
		if err != nil {
			return err
		}
		if len(name) > maxInstanceName || !instanceName().MatchString(name) {
			return cli.Usagef("%q is no name of an instance; write what follows stepagent@ in the name of its service", name)
		}
		for variable, value := range map[string]string{
			configVariable: instanceConfig, "RUNTIME_DIRECTORY": instanceSockets, "STATE_DIRECTORY": instanceState,
		} {
			if err := os.Setenv(variable, fmt.Sprintf(value, name)); err != nil {
				return err
			}
		}
		return nil
	}
}

// nameInstances adds the running instances to the error of a command that has found no agent.
func nameInstances(cmd *cobra.Command, err error) error {
	runs := func(dir string) bool { return len(daemon.AdminSockets(dir)) > 0 }
	if err == nil || cmd.Flags().Changed(instanceFlag) || slices.ContainsFunc(daemon.SearchDirs(), runs) {
		return err
	}
	return otherInstances(err, instances())
}

// instances returns the names of the running instances, from their folders for sockets.
func instances() []string {
	prefix, _, _ := strings.Cut(instanceSockets, "%s")
	dirs, _ := filepath.Glob(prefix + "*") // the pattern is sound
	for i, dir := range dirs {
		dirs[i] = strings.TrimPrefix(dir, prefix)
	}
	return slices.DeleteFunc(dirs, func(name string) bool { return !instanceName().MatchString(name) })
}

// otherInstances adds the named instances to an error that no agent was reached.
func otherInstances(err error, names []string) error {
	if len(names) == 0 {
		return err
	}
	return fmt.Errorf("%w; other agents run here: --%s %s", err, instanceFlag, strings.Join(names, ", "))
}
