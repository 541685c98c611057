package main

import (
	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
	"github.com/stepagent/stepagent/plugins/bundled"
	"github.com/stepagent/stepagent/plugins/sdk"
)

// newPlugin returns the command that the agent starts as the process of its bundled validators.
func newPlugin() *cobra.Command {
	return &cobra.Command{
		Use: "plugin", Short: "serve the bundled validators to an agent", Hidden: true, Args: cli.NoArgs,
		Run: func(*cobra.Command, []string) {
			sdk.Serve(bundled.Plugin(version.Number()))
		},
	}
}

// self returns how the agent starts this executable as a plugin: by its link in proc(5), which
// leads to the running executable even after an upgrade has replaced the file.
func self() daemon.Plugin {
	return daemon.Plugin{Path: "/proc/self/exe", Argv0: "stepagent", Args: []string{"plugin"}}
}
