package daemon_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
)

// inFleet returns a config that publishes a record and answers requests.
func inFleet(node *natstest.Node, dir, name string) string {
	return fmt.Sprintf("port = 0\n[record]\nenabled = true\ndir = %q\n[nats]\nurl = [%q]\n[fleet]\nname = %q\nboard = \"b\"\nresults = true\ncontrol = true\n",
		dir, node.URL, name)
}

func connectNATS(t *testing.T, node *natstest.Node) *natsconn.Conn {
	t.Helper()
	conn, err := natsconn.Connect(natsconn.Options{URLs: []string{node.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func awaitFleet(t *testing.T, a *daemon.Agent, what string, is func(api.Fleet) bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(a.Status().Fleet); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s: %+v", what, a.Status().Fleet)
		}
	}
}

// TestWithoutNATS: an agent without nats.url starts nothing of it.
func TestWithoutNATS(t *testing.T) {
	o, _ := options(t, "port = 0\n")
	a := start(t, o)
	stacks := make([]byte, 4<<20)
	if text := string(stacks[:runtime.Stack(stacks, true)]); strings.Contains(text, "nats-io") || strings.Contains(text, "outbox") {
		t.Errorf("a goroutine of NATS runs:\n%s", text)
	}
	if f := a.Status().Fleet; f != (api.Fleet{}) {
		t.Errorf("the status is %+v", f)
	}
}

// TestFleet: an agent publishes what it judges and answers requests. A reload puts it into another fleet, and
// takes it out.
func TestFleet(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t, natstest.Processes())
	conn := connectNATS(t, node)
	dir := filepath.Join(t.TempDir(), "record")
	o, file := options(t, inFleet(node, dir, "lab"))
	a := start(t, o)
	for _, name := range []string{"lab", "other"} {
		stream, err := conn.JS.CreateStream(t.Context(), jetstream.StreamConfig{Name: fleet.Stream(name), Subjects: fleet.Subjects(name)})
		if err != nil {
			t.Fatal(err)
		}
		performAnew(t, a, 1)
		awaitFleet(t, a, "the step in the stream", func(api.Fleet) bool {
			m, err := stream.GetLastMsgForSubject(t.Context(), fleet.Subject(name, "b", fleet.Steps))
			return err == nil && strings.Contains(string(m.Data), `"session":"bench"`)
		})
		awaitFleet(t, a, "the acknowledgement", func(f api.Fleet) bool { return f.Results.Published > 0 && f.Results.LagBytes == 0 })
		f := a.Status().Fleet
		if f.Name != name || f.Board != "b" || !f.Connected || !f.Control || f.Connection != "connected to "+node.URL || f.Results.Error != "" {
			t.Errorf("fleet %s: %+v", name, f)
		}
		var status fleet.StatusReply
		request(t, conn, fleet.AllStatus(name), &status)
		var s api.Status
		if err := json.Unmarshal(status.Status, &s); err != nil || status.Board != "b" || status.Agent != "test" || s.Fleet.Name != name {
			t.Errorf("fleet %s: the reply is %+v, %v", name, status, err)
		}
		// The reply to a reload that replaces the connection is still sent.
		write(t, file, inFleet(node, dir, "other"))
		var reload fleet.ReloadReply
		request(t, conn, fleet.Reload(name, "b"), &reload)
		if !reload.OK || reload.Problem != nil {
			t.Errorf("fleet %s: the reload is %+v", name, reload)
		}
	}
	write(t, file, "prot = 1\n")
	var refused fleet.ReloadReply
	request(t, conn, fleet.Reload("other", "b"), &refused)
	if refused.OK || refused.Problem == nil || !strings.Contains(refused.Problem.Detail, "prot: unknown key") {
		t.Errorf("a wrong config: %+v", refused)
	}
	write(t, file, "port = 0\n")
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f := a.Status().Fleet; f != (api.Fleet{}) {
		t.Errorf("after the end of NATS the status is %+v", f)
	}
}

// request sends a request until the agent has subscribed to it, and reads the reply.
func request(t *testing.T, conn *natsconn.Conn, subject string, reply any) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		m, err := conn.Request(subject, nil, patience)
		if err == nil {
			err = json.Unmarshal(m.Data, reply)
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", subject, err)
		}
	}
}

// TestUnreachableNATS: an agent without a server serves, and says so.
func TestUnreachableNATS(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t, natstest.Processes())
	node.Kill()
	o, _ := options(t, inFleet(node, filepath.Join(t.TempDir(), "record"), "lab"))
	a := start(t, o)
	performAnew(t, a, 1)
	awaitFleet(t, a, "the failure", func(f api.Fleet) bool {
		return !f.Connected && strings.HasSuffix(f.Connection, "; start the server, or correct its address") && f.Results.LagBytes > 0
	})
	if s := a.Status(); len(s.Trouble) != 0 {
		t.Errorf("a moment after the start there is trouble: %v", s.Trouble)
	}
}

// TestWrongNATS: a file that cannot be read is a problem of the config, for a start and for check-config.
func TestWrongNATS(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	for _, key := range []string{"credentials", "ca"} {
		o, file := options(t, fmt.Sprintf("port = 0\n[nats]\nurl = [\"nats://127.0.0.1:1\"]\n%s = %q\n", key, missing))
		_, err := daemon.Start(t.Context(), o)
		want := file + ":4:1: nats." + key + ": "
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", key, err, want)
		}
		c, loadErr := o.Load()
		if loadErr != nil {
			t.Fatal(loadErr)
		}
		if checked := daemon.CheckNATS(c); checked == nil || checked.Error() != err.Error() {
			t.Errorf("%s: check-config says %v, the start %v", key, checked, err)
		}
	}
	if err := daemon.CheckNATS(&config.Loaded{}); err != nil {
		t.Error(err)
	}
}
