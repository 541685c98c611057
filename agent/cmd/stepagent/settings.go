package main

import (
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

const configVariable = "STEPAGENT_CONFIG"

const precedence = `A flag wins over its environment variable (STEPAGENT_PORT for --port), that over the config
file, and that over the defaults.`

// addSettings gives the command --config and the named flags of the config.
func addSettings(cmd *cobra.Command, names ...string) {
	cmd.Flags().StringP("config", "c", "", "config `FILE`, .toml, .yaml or .yml (default $"+configVariable+")")
	for _, flag := range config.Flags() {
		if slices.Contains(names, flag.Name) {
			cmd.Flags().String(flag.Name, "", flag.Usage)
		}
	}
}

// sources returns where the command's config comes from.
func sources(cmd *cobra.Command) config.Sources {
	set := map[string]string{}
	for _, flag := range config.Flags() {
		if f := cmd.Flags().Lookup(flag.Name); f != nil && f.Changed {
			set[flag.Key] = f.Value.String()
		}
	}
	return config.Sources{File: configFile(cmd.Flags()), Environ: os.Environ(), Set: set}
}

func configFile(flags *pflag.FlagSet) string {
	if f := flags.Lookup("config"); f != nil && f.Changed {
		return f.Value.String()
	}
	return os.Getenv(configVariable)
}
