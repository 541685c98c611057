package main

import (
	"errors"
	"maps"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stepagent/stepagent/agent/internal/testkit/freeport"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
	"github.com/stepagent/stepagent/plugins/bundled"
	"github.com/stepagent/stepagent/plugins/sdk"
)

func TestMain(m *testing.M) {
	natstest.Main()
	programs := map[string]func(){"stepctl": main, validatorsName: serveValidators}
	maps.Copy(programs, linuxPrograms)
	testscript.Main(withoutSettings{soaktest.InParallel(m, 6)}, programs)
}

// validatorsName is the name by which this test binary serves the bundled validators to a real agent.
const validatorsName = "validators"

func serveValidators() { sdk.Serve(bundled.Plugin("1.2.3")) }

// The scripts in testdata/script run stepctl, which is this test binary, and have these
// commands besides those of testscript:
//
//	agent [place=behaviour]...   starts a scripted agent and sets $PORT; see scriptedAgent
//	certificates                 writes the certificates of a tlsSite
//	noagent                      sets $PORT to a port without a listener
//	await N                      waits until the agent has received N requests
//	unsent                       fails when the agent has received any request
//	exits CODE COMMAND...        like exec, for a command that must exit with CODE
//	call CODE stepctl ARG...     the same without a process of its own, which takes a tenth of the time. One
//	                             is made at a time, so that it should not wait for anything, and the
//	                             variables of the script do not count
//	capture FILE SCRIPT...       writes a capture of a conversation; see cmdCapture
//	stored DB COUNT FACTOR...    adds runs to a database; see cmdStored
//
// and those of linuxCmds and natsCmds.
func TestScripts(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../../..") // the folder changes, see cmdCall
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "testdata/script/stepctl_*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("found no scripts (%v)", err)
	}
	site := newTLSSite(t)
	cmds := map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"agent": cmdAgent, "certificates": cmdCertificates, "noagent": cmdNoAgent, "await": cmdAwait, "unsent": cmdUnsent, "exits": cmdExits,
		"call": cmdCall, "capture": cmdCapture, "stored": cmdStored,
	}
	maps.Copy(cmds, linuxCmds)
	maps.Copy(cmds, natsCmds)
	testscript.Run(t, testscript.Params{
		Files:               files,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Values[agentKey{}] = new(*scriptedAgent)
			env.Values[siteKey{}] = site
			env.Values[testKey{}] = env.T()
			return nil
		},
		Cmds: cmds,
	})
}

// agentKey is where a script keeps its *scriptedAgent, and siteKey where it has its *tlsSite.
type (
	agentKey struct{}
	siteKey  struct{}
)

func cmdAgent(ts *testscript.TestScript, _ bool, args []string) {
	a, stop, err := startAgent(args, ts.Value(siteKey{}).(*tlsSite))
	ts.Check(err)
	ts.Defer(stop)
	ts.Setenv("PORT", a.port)
	*ts.Value(agentKey{}).(**scriptedAgent) = a
}

func cmdNoAgent(ts *testscript.TestScript, _ bool, _ []string) {
	port, err := freeport.Free()
	ts.Check(err)
	ts.Setenv("PORT", port)
}

func cmdAwait(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	(*ts.Value(agentKey{}).(**scriptedAgent)).await(n)
}

func cmdUnsent(ts *testscript.TestScript, _ bool, _ []string) {
	if n := (*ts.Value(agentKey{}).(**scriptedAgent)).count() - 1; n > 0 {
		ts.Fatalf("%d requests were sent", n)
	}
}

func cmdExits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exited *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exited) {
		got = exited.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
