// Package bundled lists the validators that stepagent includes. The agent runs them in a process of their
// own; stepctl verify runs them in its own process.
package bundled

import (
	"github.com/stepagent/stepagent/plugins/faults"
	"github.com/stepagent/stepagent/plugins/mintimeout"
	"github.com/stepagent/stepagent/plugins/pacing"
	"github.com/stepagent/stepagent/plugins/rules"
	"github.com/stepagent/stepagent/plugins/sdk"
	"github.com/stepagent/stepagent/plugins/sequence"
)

// Plugin returns the validators; version is that of the program that includes them.
func Plugin(version string) sdk.Plugin {
	return sdk.Plugin{
		Name:    "stepagent",
		Version: version,
		Validators: []sdk.Validator{
			{Name: sequence.Name, Version: version, Summary: "step ids go up by one", New: sequence.New},
			{Name: mintimeout.Name, Version: version, Summary: "the declared timeout is long enough", New: mintimeout.New},
			{Name: pacing.Name, Version: version, Summary: "the declared interval is kept", New: pacing.New},
			{Name: rules.Name, Version: version, Summary: "expressions of the config hold", New: rules.New},
			{Name: faults.Name, Version: version, Summary: "misbehaves on purpose", New: faults.New},
		},
	}
}
