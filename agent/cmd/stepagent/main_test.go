package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
	"github.com/stepagent/stepagent/agent/internal/testkit/freeport"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
	"github.com/stepagent/stepagent/configs"
	"github.com/stepagent/stepagent/plugins/bundled"
	"github.com/stepagent/stepagent/plugins/faults"
)

func TestMain(m *testing.M) {
	natstest.Main()
	testscript.Main(soaktest.InParallel(m, 6), map[string]func(){"stepagent": main, testPluginName: serveTestPlugin, namespacedName: namespaced})
}

// The scripts in testdata/script run stepagent, which is this test binary, and have these
// commands besides those of testscript:
//
//	freeport         sets $PORT to a port that no socket listens on
//	await            waits until an agent accepts connections on $PORT
//	taken            listens on $PORT until the script ends
//	send FILE        sends the file to $PORT on one connection; the replies are stdout
//	status PATTERN   waits until the status of the agent on $PORT has a line that matches, with ! until
//	                 it has none, and sets $GENERATION to the generation of its validators
//	http METHOD PATH [HEADER...]
//	                 sends a request to the HTTP listener of the agent on $PORT; the reply is stdout
//	token FILE       sets $TOKEN to what is in the file
//	exits CODE CMD   like exec, for a command that must exit with CODE
//
// $PLUGIN is a program with the validators stuck and sequence; the condition [root] holds for root.
func TestScripts(t *testing.T) {
	t.Parallel() // beside tests that mostly wait
	files, err := filepath.Glob("../../../testdata/script/stepagent_*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("found no scripts (%v)", err)
	}
	plugin := testPlugin(t)
	testscript.Run(t, testscript.Params{
		Files:               files,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			dir, err := daemon.TempRuntimeDir() // the script's own folder has too long a path
			if err != nil {
				return err
			}
			env.Defer(func() { _ = os.RemoveAll(dir) })
			env.Setenv("RUNTIME_DIRECTORY", dir)
			env.Setenv("PLUGIN", plugin)
			return nil
		},
		Condition: func(condition string) (bool, error) {
			if condition != "root" {
				return false, fmt.Errorf("there is no condition %q", condition)
			}
			return os.Geteuid() == 0, nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"freeport": cmdFreePort, "await": cmdAwait, "taken": cmdTaken, "send": cmdSend, "exits": cmdExits,
			"status": cmdStatus, "http": cmdHTTP, "token": cmdToken,
		},
	})
}

// patience is how long a script waits for something that is to happen at once.
const patience = time.Minute

func cmdFreePort(ts *testscript.TestScript, _ bool, _ []string) {
	port, err := freeport.Free()
	ts.Check(err)
	ts.Setenv("PORT", port)
}

func cmdTaken(ts *testscript.TestScript, _ bool, _ []string) {
	listener, err := net.Listen("tcp", "localhost:"+ts.Getenv("PORT"))
	ts.Check(err)
	ts.Defer(func() { _ = listener.Close() })
}

func cmdAwait(ts *testscript.TestScript, _ bool, _ []string) {
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", "localhost:"+ts.Getenv("PORT"))
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no agent: %v", err)
		}
	}
}

func cmdSend(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: send FILE [ADDRESS], which is the client's")
	}
	var from net.Dialer
	if len(args) == 2 {
		from.LocalAddr = &net.TCPAddr{IP: net.ParseIP(args[1])}
	}
	conn, err := from.DialContext(context.Background(), "tcp", "localhost:"+ts.Getenv("PORT"))
	ts.Check(err)
	defer func() { _ = conn.Close() }()
	ts.Check(conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, ts.ReadFile(args[0]))
	ts.Check(err)
	ts.Check(conn.(*net.TCPConn).CloseWrite())
	replies, err := io.ReadAll(conn)
	ts.Check(err)
	_, err = ts.Stdout().Write(replies)
	ts.Check(err)
}

func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: status PATTERN")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	socket := scriptSocket(ts)
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		var shown strings.Builder
		status, err := daemon.Query[api.Status](context.Background(), socket, daemon.StatusRequest)
		if err == nil {
			err = printStatus(&shown, status)
		}
		if err == nil && pattern.MatchString(shown.String()) != neg {
			ts.Setenv("GENERATION", strconv.FormatUint(status.Generation, 10))
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s was to match a line of the status: %t\n%s%v", pattern, !neg, shown.String(), err)
		}
	}
}

func cmdExits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	got := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("%s: exit %s, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// TestDemo runs the demonstration as the README has it.
func TestDemo(t *testing.T) {
	soaktest.Only(t)
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "demo")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out strings.Builder
	if err := demo(ctx, dir, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, name := range []string{"success.jsonl", "failure.jsonl", "timeout.jsonl", "agent.log", "stepagent.toml"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, want a file that is not empty", name, err)
		}
	}
	if want := fmt.Sprintf("are in %s\n", dir); !strings.Contains(out.String(), want) {
		t.Errorf("the output does not say %q:\n%s", want, out.String())
	}
}

// TestSampleSettings: the examples in the sample config are taken by the validators that they
// are for.
func TestSampleSettings(t *testing.T) {
	t.Parallel()
	example := regexp.MustCompile(`(?m)^#([^ \n].*)$`)
	var sample struct {
		Validators []struct {
			Name, Path string
			Settings   map[string]any
		}
	}
	if err := toml.Unmarshal([]byte(example.ReplaceAllString(configs.Agent, "$1")), &sample); err != nil {
		t.Fatal(err)
	}
	settings := map[string]any{}
	for _, v := range sample.Validators {
		settings[v.Name] = v.Settings
	}
	for _, v := range bundled.Plugin(version.Number()).Validators {
		if v.Name == faults.Name {
			continue // has a sample of its own
		}
		b, err := json.Marshal(settings[v.Name])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.New(b); err != nil || len(b) < len(`{"a":1}`) {
			t.Errorf("%s with %s: %v", v.Name, b, err)
		}
	}
}
