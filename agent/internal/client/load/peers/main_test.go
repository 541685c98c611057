// Package peers holds a benchmark: the agent with its validators in a process of their own,
// next to servers that do less, under one load and in one run.
// docs/performance.md says how to run it and how to read what it prints.
package peers

import (
	"fmt"
	"os"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
	"github.com/stepagent/stepagent/plugins/sdk"
)

// The roles in which the benchmark starts its own executable: the first argument.
const (
	limitRole     = "peer-limit"
	echoRole      = "peer-echo"
	inProcessRole = "peer-in-process"
	pluginRole    = "peer-plugin"
	viewersRole   = "peer-viewers"
)

func TestMain(m *testing.M) {
	natstest.Main()
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case limitRole:
			exit(serveLimit(os.Args[2]))
		case echoRole:
			exit(serveEcho(os.Args[2]))
		case inProcessRole:
			exit(serveInProcess(os.Args[2]))
		case viewersRole:
			exit(serveViewers(os.Args[2], os.Args[3]))
		case pluginRole:
			sdk.Serve(ownPlugin())
			return
		}
	}
	os.Exit(m.Run())
}

func exit(err error) {
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
