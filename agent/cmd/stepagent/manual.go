//go:build manual

package main

import (
	"os"

	"github.com/stepagent/stepagent/agent/internal/manual"
	"github.com/stepagent/stepagent/configs"
)

// With the tag "manual" this is no agent but writes its man pages and completions.
func main() {
	os.Exit(manual.Main(newRoot(), os.Args[1:], func(dir string, edition manual.Edition) error {
		return manual.WriteConfig(configPage(), dir, edition)
	}))
}

func configPage() manual.ConfigPage {
	return manual.ConfigPage{
		Name:  "stepagent.toml",
		Short: "the config of stepagent",
		Intro: "The agent reads the file that **--config** or the variable STEPAGENT\\_CONFIG names; the service " +
			"reads */etc/stepagent/stepagent.toml*, which may have other values than the defaults that stand here. " +
			"A file whose name ends in .yaml has the same keys in YAML.",
		Sample:  configs.Agent,
		SeeAlso: []string{"stepagent(1)", "stepagent-serve(1)", "stepagent-check-config(1)", "stepagent-reload(1)"},
	}
}
