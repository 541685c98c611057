package fleetcontrol_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/stepagent/stepagent/agent/internal/agent/fleetcontrol"
	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
)

const patience = time.Minute

// A status is what the agents of the tests say.
type status struct {
	Version string `json:"version"`
}

func connect(t *testing.T, node *natstest.Node) *natsconn.Conn {
	t.Helper()
	conn, err := natsconn.Connect(natsconn.Options{URLs: []string{node.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func serve(t *testing.T, node *natstest.Node, board string, reload func() error) *fleetcontrol.Server {
	t.Helper()
	return fleetcontrol.Serve(fleetcontrol.Options{Fleet: "lab", Board: board, Version: "1.2", Status: func() any { return status{"1.2"} },
		Reload: reload, Conn: connect(t, node), Log: slog.New(slog.DiscardHandler)})
}

// ask sends a request until it is answered, and returns the reply.
func ask[T any](t *testing.T, conn *natsconn.Conn, subject string) (reply T) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		m, err := conn.Request(subject, nil, 5*time.Second)
		if err == nil {
			err = json.Unmarshal(m.Data, &reply)
		}
		if err == nil {
			return reply
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", subject, err)
		}
	}
}

// Every board answers a request to all, and each one a request to it, also after a loss of the connection.
func TestStatus(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t)
	serve(t, node, "a", nil)
	serve(t, node, "b", nil)
	conn := connect(t, node)
	for range 2 {
		for _, board := range []string{"a", "b"} {
			got := ask[fleet.StatusReply](t, conn, fleet.Status("lab", board))
			var s status
			if err := json.Unmarshal(got.Status, &s); err != nil || got.Board != board || got.Agent != "1.2" || s.Version != "1.2" {
				t.Errorf("board %s: %+v, %v", board, got, err)
			}
		}
		inbox := conn.NewInbox()
		replies, err := conn.SubscribeSync(inbox)
		if err == nil {
			err = conn.PublishRequest(fleet.AllStatus("lab"), inbox, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for len(seen) < 2 {
			m, err := replies.NextMsg(patience)
			var reply fleet.StatusReply
			if err == nil {
				err = json.Unmarshal(m.Data, &reply)
			}
			if err != nil {
				t.Fatal(err)
			}
			seen[reply.Board] = true
		}
		node.Kill()
		node.Restart()
	}
}

// A reload is answered when it is over, with the problem where the config is refused.
func TestReload(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t)
	result := errors.New("agent.toml:1:1: prot: unknown key")
	serve(t, node, "a", func() error { return result })
	conn := connect(t, node)
	got := ask[fleet.ReloadReply](t, conn, fleet.Reload("lab", "a"))
	if got.OK || got.Board != "a" || got.Problem == nil || got.Problem.Status != 422 || got.Problem.Detail != result.Error() {
		t.Errorf("refused: %+v", got)
	}
	serve(t, node, "b", func() error { return nil })
	if got := ask[fleet.ReloadReply](t, conn, fleet.Reload("lab", "b")); !got.OK || got.Problem != nil {
		t.Errorf("done: %+v", got)
	}
}

// Close waits for a reload in progress, whose reply is sent, and nothing is answered from then on.
func TestClose(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t)
	begun, proceed := make(chan struct{}), make(chan struct{})
	s := serve(t, node, "a", func() error { close(begun); <-proceed; return nil })
	conn := connect(t, node)
	ask[fleet.StatusReply](t, conn, fleet.Status("lab", "a"))
	reply := make(chan *nats.Msg, 1)
	go func() {
		m, err := conn.Request(fleet.Reload("lab", "a"), nil, patience)
		if err != nil {
			t.Error(err)
		}
		reply <- m
	}()
	<-begun
	closed := make(chan struct{})
	go func() { s.Close(); close(closed) }()
	select {
	case <-closed:
		t.Error("Close has not waited for the reload")
	case <-time.After(100 * time.Millisecond):
	}
	close(proceed)
	<-closed
	if m := <-reply; m == nil || string(m.Data) != `{"board":"a","ok":true}` {
		t.Errorf("the reply is %v", m)
	}
	if m, err := conn.Request(fleet.Status("lab", "a"), nil, 200*time.Millisecond); err == nil {
		t.Errorf("a closed server answers %s", m.Data)
	}
}
