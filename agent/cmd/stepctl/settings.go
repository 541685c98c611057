package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/load"
	"github.com/stepagent/stepagent/agent/internal/client/report/html"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// settingsHelp is part of the help of the commands that have settings.
const settingsHelp = `
Defaults of flags come from environment variables (STEPCTL_HOST, STEPCTL_PORT and so on), then from
a settings file; see stepctl settings --help.`

// settingKeys are the settings of the environment and the file. Each is a flag of run, load or report
// and has the flag's default.
func settingKeys() []config.ClientKey {
	wait := func(text string) error { return new(secondsFlag).Set(text) }
	return []config.ClientKey{
		{Name: "host", Type: config.Text, Default: defaultHost, Check: checkHost},
		{Name: "port", Type: config.Whole, Default: fmt.Sprint(defaultPort),
			Check: func(text string) error { return new(portFlag).Set(text) }},
		{Name: "timeout", Type: config.Number, Default: secondsText(runner.DefaultDialTimeout), Check: wait},
		{Name: "data", Type: config.Text, Check: func(text string) error {
			_, err := stepfile.Builtin(text)
			return err
		}},
		{Name: "wait", Type: config.Number, Default: secondsText(load.DefaultWait), Check: wait},
		{Name: "max_strays", Type: config.Whole, Default: fmt.Sprint(runner.DefaultMaxStrays),
			Check: func(text string) error { return new(countFlag).Set(text) }},
		{Name: "lang", Type: config.Text, Default: string(html.English),
			Check: func(text string) error { return new(langFlag).Set(text) }},
		{Name: "log_format", Type: config.Text, Default: "auto", Check: func(text string) error {
			_, err := logging.New(io.Discard, logging.Options{Format: text})
			return err
		}},
	}
}

func secondsText(d time.Duration) string { return (*secondsFlag)(&d).String() }

// flagOf returns the flag of a setting.
func flagOf(key string) string { return strings.ReplaceAll(key, "_", "-") }

// settingsFlag adds the flag --config, for the settings file.
func settingsFlag(cmd *cobra.Command) {
	cmd.Flags().String("config", "", "read settings from `FILE`; an empty name for no file (default: config.toml or .yaml in $XDG_CONFIG_HOME/stepctl)")
}

// loadSettings reads the settings of a command, and returns the path of the settings file.
func loadSettings(cmd *cobra.Command) (client config.Client, file string, err error) {
	file = os.Getenv(config.ClientFileVariable)
	if flag := cmd.Flags().Lookup("config"); flag.Changed {
		file = flag.Value.String()
	} else if file == "" {
		if file, err = config.ClientFile(); err != nil {
			return client, "", &exitError{exitUsage, err}
		}
	}
	set := map[string]string{}
	for _, key := range settingKeys() {
		if flag := cmd.Flags().Lookup(flagOf(key.Name)); flag != nil && flag.Changed {
			set[key.Name] = flag.Value.String()
		}
	}
	client, err = config.LoadClient(config.ClientSources{Keys: settingKeys(), File: file, Environ: os.Environ(), Set: set})
	if err != nil {
		return client, file, &exitError{exitUsage, err}
	}
	return client, file, nil
}

// applySettings sets the flags that the command line does not set, except those named.
func applySettings(cmd *cobra.Command, except ...string) error {
	client, _, err := loadSettings(cmd)
	if err != nil {
		return err
	}
	for _, s := range client.Settings {
		flag := cmd.Flags().Lookup(flagOf(s.Key))
		if flag == nil || s.Place == (config.Place{}) || flag.Changed || slices.Contains(except, s.Key) {
			continue
		}
		if err := flag.Value.Set(s.Text); err != nil {
			return &exitError{exitUsage, fmt.Errorf("%s: %w", s.Place, err)}
		}
	}
	return nil
}

func newSettings() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "settings",
		Short: "show the settings and where each comes from",
		Long: `settings shows the settings of run, load and report, and where each comes from. The first of
these that is set applies:

  1. the flag, such as --host
  2. the environment variable, STEPCTL_ and the key in upper case, such as STEPCTL_HOST; an empty
     variable counts as not set
  3. the settings file
  4. the default

The settings file is that of --config, else of STEPCTL_CONFIG, else config.toml, config.yaml or
config.yml in $XDG_CONFIG_HOME/stepctl (usually ~/.config/stepctl), if it exists. The extension
determines the format. The keys are:

  host = "bench-7"      # host of the agent
  port = 8080           # port of the agent
  timeout = 5           # run: maximum wait for a connection, in seconds
  data = "success"      # run, load: built-in procedure, if no step file is named
  wait = 10             # load: maximum wait for a reply, in seconds
  max_strays = 256      # run: how many messages that answer no request to keep
  lang = "en"           # run, report: language of the HTML page
  log_format = "auto"   # run: format of stderr

Unknown keys and variables, values of a wrong type and values out of range are errors. Variables that
Kubernetes and Docker set for a service called stepctl are ignored.`,
		Example: `  stepctl settings
  STEPCTL_PORT=9090 stepctl settings --config bench.yaml
  stepctl settings --json | jq -r '.settings[] | select(.key == "host") | .value'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, file, err := loadSettings(cmd)
			if err != nil {
				return err
			}
			if asJSON {
				return written(writeSettingsJSON(cmd.OutOrStdout(), client, file))
			}
			return written(writeSettings(cmd.OutOrStdout(), client, file))
		},
	}
	cmd.Flags().SortFlags = false
	for _, key := range settingKeys() {
		cmd.Flags().Var(&checkedFlag{text: key.Default, check: key.Check}, flagOf(key.Name), "as for run, load and report")
	}
	settingsFlag(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object instead of the table")
	return cmd
}

// A checkedFlag is the flag of a setting that is checked and shown only.
type checkedFlag struct {
	text  string
	check func(string) error
}

func (f *checkedFlag) Set(text string) error {
	f.text = text
	return f.check(text)
}

func (f *checkedFlag) String() string { return f.text }
func (f *checkedFlag) Type() string   { return "VALUE" }

// from returns where a setting comes from.
func from(s config.ClientSetting) string {
	if s.Place == (config.Place{}) {
		return "default"
	}
	return s.Place.String()
}

// writeSettings writes the settings as a table.
func writeSettings(w io.Writer, client config.Client, file string) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		// A tabwriter keeps its first error for Flush.
		_, _ = fmt.Fprintln(out, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	row("setting", "value", "from")
	for _, s := range client.Settings {
		row(s.Key, cmp.Or(logging.Clean(s.Text), "-"), from(s))
	}
	row("file", cmp.Or(logging.Clean(file), "-"))
	for _, variable := range client.Ignored {
		row("ignored", logging.Clean(variable), "set by Kubernetes or Docker for a service")
	}
	return out.Flush()
}

// A settingsReport is the settings as JSON.
type settingsReport struct {
	Settings []settingReport `json:"settings"`
	File     string          `json:"file,omitempty"`
	Ignored  []string        `json:"ignored,omitempty"`
}

type settingReport struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	From  string `json:"from"`
}

// writeSettingsJSON writes the settings as JSON.
func writeSettingsJSON(w io.Writer, client config.Client, file string) error {
	report := settingsReport{File: file, Ignored: client.Ignored}
	for _, s := range client.Settings {
		report.Settings = append(report.Settings, settingReport{s.Key, s.Text, from(s)})
	}
	return json.NewEncoder(w).Encode(report)
}
