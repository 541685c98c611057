package main

import (
	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
	"github.com/stepagent/stepagent/plugins/bundled"
	"github.com/stepagent/stepagent/plugins/sdk"
)

// pluginArgument is the only argument of the process of the bundled validators. It is no command for
// people, and the process does without the memory that commands and their flags take.
const pluginArgument = "plugin"

func isPlugin(args []string) bool { return len(args) == 1 && args[0] == pluginArgument }

// servePlugin serves the bundled validators to the agent that has started this process.
func servePlugin() {
	releaseCodePages()
	sdk.Serve(bundled.Plugin(version.Number()))
}

// self returns how the agent starts this executable as a plugin: by its link in proc(5), which
// leads to the running executable even after an upgrade has replaced the file.
func self() daemon.Plugin {
	return daemon.Plugin{Path: "/proc/self/exe", Argv0: "stepagent", Args: []string{pluginArgument}}
}
