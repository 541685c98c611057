//go:build manual

package main

import (
	"os"

	"github.com/stepagent/stepagent/agent/internal/shared/manual"
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
			"A file whose name ends in .yaml has the same keys in YAML.\n\n" +
			"The files of the folder *conf.d* beside it, whose names end in .toml, .yaml or .yml, are laid over it in the " +
			"order of their names: a key of a later file wins, tables are merged by key, the entries of *validators* by " +
			"their names (**as**, else **name**), and other lists are replaced as a whole. " +
			"Over a config with another name, *NAME.toml*, those of *NAME.d* are laid.",
		Sample:  configs.Agent,
		SeeAlso: []string{"stepagent(1)", "stepagent-serve(1)", "stepagent-check-config(1)", "stepagent-reload(1)"},
	}
}
