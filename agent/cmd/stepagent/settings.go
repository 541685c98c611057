package main

import (
	"os"

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
	config.AgentFlags().Add(cmd.Flags(), names...)
}

// sources returns where the command's config comes from.
func sources(cmd *cobra.Command) config.Sources {
	return config.Sources{File: configFile(cmd.Flags()), Environ: os.Environ(), Set: config.AgentFlags().Set(cmd.Flags())}
}

func configFile(flags *pflag.FlagSet) string {
	if f := flags.Lookup("config"); f != nil && f.Changed {
		return f.Value.String()
	}
	return os.Getenv(configVariable)
}
