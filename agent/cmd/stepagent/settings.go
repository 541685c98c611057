package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// A setting is a flag that sets a key of the config.
type setting struct{ flag, key, usage string }

// settings are the flags of commands that read the config. Their values are text, which the
// config checks like that of a file.
func settings() []setting {
	return []setting{
		{"host", "host", "address or name of the `HOST` to listen on (default localhost)"},
		{"port", "port", "TCP `PORT` to listen on, 0 for any free one (default 8080)"},
		{"allow", "allow", "`LIST` of the source addresses to serve, with commas: addresses, prefixes, loopback, private, link-local, all (default loopback,private,link-local)"},
		{"timeout", "timeout", "shortest timeout in `SECONDS` that a step may declare, checked by the validator min_timeout (default 5)"},
		{"log-format", "log.format", "`FORMAT` of the log: auto, tint, text or json (default auto)"},
		{"log-level", "log.level", "lowest `LEVEL` that is logged: debug, info, warn or error (default info)"},
		{"admin-socket", "admin.socket", "`PATH` of the unix socket for reload, status and validators (default: chosen from the port)"},
	}
}

const configVariable = "STEPAGENT_CONFIG"

const precedence = `A flag wins over its environment variable (STEPAGENT_PORT for --port), that over the config
file, and that over the defaults.`

// addSettings gives the command --config and the named settings' flags.
func addSettings(cmd *cobra.Command, names ...string) {
	cmd.Flags().StringP("config", "c", "", "config `FILE`, .toml, .yaml or .yml (default $"+configVariable+")")
	for _, s := range settings() {
		for _, name := range names {
			if s.flag == name {
				cmd.Flags().String(s.flag, "", s.usage)
			}
		}
	}
}

// sources returns where the command's config comes from.
func sources(cmd *cobra.Command) config.Sources {
	set := map[string]string{}
	for _, s := range settings() {
		if f := cmd.Flags().Lookup(s.flag); f != nil && f.Changed {
			set[s.key] = f.Value.String()
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
