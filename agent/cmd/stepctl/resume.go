package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// A resumeFlag is the flag --resume with the record that it names.
type resumeFlag struct {
	path string // empty for a new run
	log  record.Log
	// unused is the database of the environment or the settings file, which has no part in the run.
	unused string
}

// read reads the record. The agent of the settings becomes that of the record, unless a flag names
// another.
func (f *resumeFlag) read(cmd *cobra.Command, settings *config.Client) (err error) {
	if f.path == "" {
		return nil
	}
	for _, other := range []string{"session", "plain", "procedure"} {
		if cmd.Flags().Changed(other) {
			return fmt.Errorf("--resume goes on with the session and the step file of its record; leave out --%s", other)
		}
	}
	if settings.DB != "" && cmd.Flags().Changed("db") {
		return errors.New("--resume stores nothing in a database; leave out --db, or give it an empty name, and " +
			`add the new record with "stepctl db add"`)
	}
	f.unused, settings.DB = settings.DB, ""
	if f.log, err = record.ReadFile(f.path); err != nil {
		return &exitError{exitUsage, err}
	}
	run, err := f.log.Fold()
	if err != nil {
		return &exitError{exitUsage, err}
	}
	if len(run.TLS) > 0 && !settings.TLS {
		return &exitError{exitUsage, fmt.Errorf("the run of %s was over TLS; add --tls and the certificates that it was started with", f.path)}
	}
	return connectAs(run, cmd.Flags(), settings)
}

// connectAs takes the agents of the settings from the run, unless a flag names others: that of its end, and
// then the others with which it might have gone on.
func connectAs(run record.Run, flags *pflag.FlagSet, settings *config.Client) error {
	var hosts []string
	for i, address := range run.Addresses() {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return &exitError{exitUsage, err}
		}
		if flags.Changed("port") {
			address = host
		} else if number, err := strconv.Atoi(port); err == nil && i == 0 {
			settings.Port = number // of a host that a flag names
		}
		hosts = append(hosts, address)
	}
	if !flags.Changed("host") {
		settings.Host = strings.Join(hosts, ",")
	}
	return nil
}

// apply sets the options of a run that goes on.
func (f *resumeFlag) apply(opts *runner.Options, procedure stepfile.Procedure) (err error) {
	if f.path == "" {
		return nil
	}
	if opts.Resume, err = runner.Resumable(f.log, procedure); err != nil {
		return &exitError{exitUsage, err}
	}
	return nil
}
