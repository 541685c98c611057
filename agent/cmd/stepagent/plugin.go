package main

import (
	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
	"github.com/stepagent/stepagent/plugins/bundled"
	"github.com/stepagent/stepagent/plugins/sdk"
)

// newPlugin is the command that the agent starts as the process of its bundled validators.
func newPlugin() *cobra.Command {
	return &cobra.Command{
		Use: "plugin", Short: "serve the bundled validators to an agent", Hidden: true, Args: cli.NoArgs,
		Run: func(*cobra.Command, []string) {
			eventloop.LimitProcessors()
			sdk.Serve(bundled.Plugin(version.Number()))
		},
	}
}

// self is how the agent starts this executable as a plugin: as the kernel knows it, proc(5),
// so that it is this one still when an upgrade has put another in its place.
func self() daemon.Plugin {
	return daemon.Plugin{Path: "/proc/self/exe", Argv0: "stepagent", Args: []string{"plugin"}}
}
