package main

import (
	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/daemon"
	"github.com/stepagent/stepagent/agent/internal/version"
	"github.com/stepagent/stepagent/plugins/faults"
	"github.com/stepagent/stepagent/plugins/mintimeout"
	"github.com/stepagent/stepagent/plugins/pacing"
	"github.com/stepagent/stepagent/plugins/rules"
	"github.com/stepagent/stepagent/plugins/sdk"
	"github.com/stepagent/stepagent/plugins/sequence"
)

// bundled are the validators that stepagent carries itself.
func bundled() sdk.Plugin {
	return sdk.Plugin{
		Name:    "stepagent",
		Version: version.Number(),
		Validators: []sdk.Validator{
			{Name: sequence.Name, Version: version.Number(), Summary: "step ids go up by one", New: sequence.New},
			{Name: mintimeout.Name, Version: version.Number(), Summary: "the declared timeout is long enough", New: mintimeout.New},
			{Name: pacing.Name, Version: version.Number(), Summary: "the declared interval is kept", New: pacing.New},
			{Name: rules.Name, Version: version.Number(), Summary: "expressions of the config hold", New: rules.New},
			{Name: faults.Name, Version: version.Number(), Summary: "misbehaves on purpose", New: faults.New},
		},
	}
}

// newPlugin is the command that the agent starts as the process of its bundled validators.
func newPlugin() *cobra.Command {
	return &cobra.Command{
		Use: "plugin", Short: "serve the bundled validators to an agent", Hidden: true, Args: noArgs,
		Run: func(*cobra.Command, []string) { sdk.Serve(bundled()) },
	}
}

// self is how the agent starts this executable as a plugin: as the kernel knows it, proc(5),
// so that it is this one still when an upgrade has put another in its place.
func self() daemon.Plugin {
	return daemon.Plugin{Path: "/proc/self/exe", Argv0: "stepagent", Args: []string{"plugin"}}
}
