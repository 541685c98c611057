package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/daemon"
	"github.com/stepagent/stepagent/agent/internal/version"
	"github.com/stepagent/stepagent/plugins/faults"
	"github.com/stepagent/stepagent/plugins/mintimeout"
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

// self is how the agent starts this executable as a plugin.
func self() (daemon.Plugin, error) {
	path, err := os.Executable()
	if err != nil {
		return daemon.Plugin{}, fmt.Errorf("find this executable, which serves the bundled validators: %w", err)
	}
	return daemon.Plugin{Path: path, Argv0: "stepagent", Args: []string{"plugin"}}, nil
}
