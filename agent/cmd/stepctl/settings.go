package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// settingsHelp is part of the help of the commands that have settings.
const settingsHelp = `
Defaults of flags come from environment variables (STEPCTL_HOST, STEPCTL_PORT and so on), then from
a settings file; see stepctl settings --help.`

// addSettings adds --config, for the settings file, and the flags of the named settings.
func addSettings(cmd *cobra.Command, names ...string) {
	config.ClientFlags().Add(cmd.Flags(), names...)
	cmd.Flags().String("config", "", "read settings from `FILE`; an empty name for no file (default: config.toml or .yaml in $XDG_CONFIG_HOME/stepctl)")
}

// loadSettings reads the settings of a command.
func loadSettings(cmd *cobra.Command) (settings *config.LoadedClient, err error) {
	file := os.Getenv(config.ClientFileVariable)
	if flag := cmd.Flags().Lookup("config"); flag.Changed {
		file = flag.Value.String()
	} else if file == "" {
		if file, err = config.ClientFile(); err != nil {
			return nil, &exitError{exitUsage, err}
		}
	}
	settings, err = config.LoadClient(config.Sources{File: file, Environ: os.Environ(), Set: config.ClientFlags().Set(cmd.Flags())})
	if problems, ok := errors.AsType[config.Problems](err); ok && !problems.FromFlags() {
		err = &exitError{exitUsage, err}
	}
	return settings, err
}

func newSettings() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "settings",
		Short: "show the settings and where each comes from",
		Long: `settings shows the settings of run, load, report and the commands of the database, and where each
comes from. The first of these that is set applies:

  1. the flag, such as --host
  2. the environment variable, STEPCTL_ and the key in upper case, such as STEPCTL_HOST; an empty
     variable counts as not set
  3. the settings file
  4. the default

The settings file is that of --config, else of STEPCTL_CONFIG, else config.toml, config.yaml or
config.yml in $XDG_CONFIG_HOME/stepctl (usually ~/.config/stepctl), if it exists. The extension
determines the format. The keys are:

  host = "bench-7"      # host of the agent; run: several, as "bench-7,bench-8:8081"
  port = 8080           # port of the agents whose host has none
  timeout = 5           # run: maximum wait for a connection, in seconds
  data = "success"      # run, load: built-in procedure, if no step file is named
  wait = 10             # load: maximum wait for a reply, in seconds
  max_strays = 256      # run: how many messages that answer no request to keep
  lang = "en"           # run, report: language of the HTML page
  log_format = "auto"   # run: format of stderr
  db = "runs.db"        # database with procedures and runs; a password in a URL is not shown
  tls = true            # run, load, worker: connect over TLS; without it the keys below do not count
  ca = "ca.pem"         # CAs that the agent's certificate may be from; default: those of the system
  cert = "station.pem"  # certificate of this client
  key = "station.key"   # key of the certificate
  server_name = "bench" # name that the agent's certificate must have; default: the host
  keylog = "keys.log"   # file for the keys of the connections
  nats_url = "nats://nats-1.lan:4222"      # collect, boards: NATS servers, with commas
  nats_credentials = "lab.creds"           # credentials of a NATS user, or
  nats_user = "lab"                        # a NATS user with a password, which is in
  nats_password = "${file:/etc/lab/nats}"  # this file, or with ${env:NAME} in a variable
  nats_ca = "nats-ca.pem"                  # CAs of the NATS servers; default: those of the system
  nats_cert = "lab.pem"                    # certificate of this client for NATS
  nats_key = "lab.key"                     # key of the certificate
  fleet = "default"                        # name of the fleet of boards

Unknown keys and variables, values of a wrong type and values out of range are errors. Variables that
Kubernetes and Docker set for a service called stepctl are ignored.`,
		Example: `  stepctl settings
  STEPCTL_PORT=9090 stepctl settings --config bench.yaml
  stepctl settings --json | jq -r '.settings[] | select(.key == "host") | .value'`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := loadSettings(cmd)
			if err != nil {
				return err
			}
			if asJSON {
				return written(json.NewEncoder(cmd.OutOrStdout()).Encode(settings))
			}
			return written(writeSettings(cmd.OutOrStdout(), settings))
		},
	}
	cmd.Flags().SortFlags = false
	addSettings(cmd, append([]string{"host", "port", "timeout", "data", "wait", "max-strays", "lang", "log-format", "db"}, append(tlsFlags(), natsFlags()...)...)...)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object instead of the table")
	return cmd
}

// writeSettings writes the settings as a table.
func writeSettings(w io.Writer, client *config.LoadedClient) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		// A tabwriter keeps its first error for Flush.
		_, _ = fmt.Fprintln(out, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	row("setting", "value", "from")
	for _, s := range client.Settings {
		row(s.Key, cmp.Or(logging.Clean(s.Value), "-"), s.From)
	}
	row("file", cmp.Or(logging.Clean(client.File), "-"))
	for _, variable := range client.Ignored {
		row("ignored", logging.Clean(variable), "set by Kubernetes or Docker for a service")
	}
	return out.Flush()
}
