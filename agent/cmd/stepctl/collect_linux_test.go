package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/client/collect"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
)

// A collecting process that is killed again and again leaves each event in the database once.
func TestCollectorKilled(t *testing.T) {
	t.Parallel()
	databasetest.EachPlace(t, func(t *testing.T, place string) {
		node := natstest.Server(t)
		conn, err := natsconn.Connect(natsconn.Options{URLs: []string{node.URL}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if _, err := collect.Create(ctx, conn, "default", collect.Limits{}); err != nil {
			t.Fatal(err)
		}
		// A killed process has messages that come again after ackWait: here sooner than by default.
		_, err = conn.JS.CreateConsumer(ctx, fleet.Stream("default"), jetstream.ConsumerConfig{Durable: "stepctl", AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		const rounds, messages, each = 5, 120, 4
		nodes := []*natstest.Node{node}
		for round := range rounds {
			cmd := collectCommand(place, nodes)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for n := range messages {
				publishSteps(ctx, t, conn, (round*messages+n)*each, each)
			}
			time.Sleep(time.Duration(round) * 30 * time.Millisecond) // another place each time
			if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // it was killed
		}
		if out, err := collectCommand(place, nodes, "--once").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var events, distinct int64
		db := databasetest.Open(t, place)
		err = db.Read().QueryRowContext(ctx, "SELECT count(*), count(DISTINCT step_id) FROM agent_events").Scan(&events, &distinct)
		if want := int64(rounds * messages * each); err != nil || events != want || distinct != want {
			t.Errorf("%d events, %d distinct, want %d; error %v", events, distinct, want, err)
		}
	})
}

// collectCommand returns a command that collects from servers into a database, without settings of the user.
func collectCommand(place string, servers []*natstest.Node, args ...string) *exec.Cmd {
	cmd := exec.Command("stepctl", append([]string{"collect", "--db", place, "--nats-url", strings.Join(natstest.URLs(servers), ",")}, args...)...)
	cmd.Env = append(os.Environ(), "HOME=/no-home", "XDG_CONFIG_HOME=")
	return cmd
}

// publishSteps publishes a message with steps from a number on.
func publishSteps(ctx context.Context, t *testing.T, conn *natsconn.Conn, from, steps int) {
	t.Helper()
	var lines []byte
	for n := from; n < from+steps; n++ {
		var err error
		lines, err = auditlog.AppendLine(lines, auditlog.Event{Kind: auditlog.KindStep, Time: time.Unix(1_800_000_000, int64(n)),
			Step: &auditlog.Step{Session: "s", Client: "c", StepID: int64(n), Position: n}})
		if err != nil {
			t.Fatal(err)
		}
	}
	m := nats.NewMsg(fleet.Subject("default", "b", fleet.Steps))
	m.Header.Set(jetstream.MsgIDHeader, fmt.Sprintf("b.1.1.%d", from))
	m.Data = lines
	if _, err := conn.JS.PublishMsg(ctx, m); err != nil {
		t.Fatal(err)
	}
}

// Ctrl-C ends a collection with what it has done.
func TestCollectInterrupted(t *testing.T) {
	node := natstest.Server(t)
	cmd := collectCommand(databasetest.File(t), []*natstest.Node{node}, "--create", "--log-format", "text")
	var out strings.Builder
	cmd.Stdout = &out
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	text := ""
	for buffer := make([]byte, 1024); !strings.Contains(text, "the results of the fleet are collected"); {
		n, err := log.Read(buffer)
		if text += string(buffer[:n]); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || out.String() != "0 events in 0 messages collected\n" {
		t.Errorf("%v: %s%s", err, out.String(), text)
	}
}
