package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
)

// testKey is where a script keeps its test.
type testKey struct{}

// natsCmds are the commands of scripts that need NATS:
//
//	nats [FILE]               starts a server, with the lines of a file in its config, and sets $STEPCTL_NATS_URL
//	publish BOARD KIND ID FILE   publishes the content of a file as the fleet "default" does
//	board NAME[=BEHAVIOUR]...    agents that answer on NATS; see answerAs
var natsCmds = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"nats": cmdNATS, "publish": cmdPublish, "board": cmdBoard,
}

func cmdNATS(ts *testscript.TestScript, _ bool, args []string) {
	var options []natstest.Option
	for _, file := range args {
		options = append(options, natstest.Config(ts.ReadFile(file)))
	}
	ts.Setenv("STEPCTL_NATS_URL", natstest.Server(ts.Value(testKey{}).(testing.TB), options...).URL)
}

// natsOf returns a connection to the server of a script.
func natsOf(ts *testscript.TestScript) *natsconn.Conn {
	conn, err := natsconn.Connect(natsconn.Options{URLs: []string{ts.Getenv("STEPCTL_NATS_URL")}})
	ts.Check(err)
	ts.Defer(conn.Close)
	ts.Check(awaitNATS(context.Background(), conn, time.Minute))
	return conn
}

func cmdPublish(ts *testscript.TestScript, _ bool, args []string) {
	m := nats.NewMsg(fleet.Subject("default", args[0], fleet.Kind(args[1])))
	m.Header.Set(jetstream.MsgIDHeader, args[2])
	m.Data = []byte(ts.ReadFile(args[3]))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := natsOf(ts).JS.PublishMsg(ctx, m)
	ts.Check(err)
}

func cmdBoard(ts *testscript.TestScript, _ bool, args []string) {
	for _, arg := range args {
		name, behaviour, _ := strings.Cut(arg, "=")
		ts.Check(answerAs(natsOf(ts), name, behaviour))
	}
}

// answerAs answers requests as the agent of a board does. Behaviours are degraded, refuses (to reload),
// silent (does not answer to a reload), strange (answers with something else) and bare (publishes no
// results).
func answerAs(conn *natsconn.Conn, board, behaviour string) error {
	trouble, results := "", `,"fleet":{"results":{"enabled":true,"lag_bytes":2048,"lag_seconds":1.5,"dropped":0}}`
	switch behaviour {
	case "degraded":
		trouble = `"trouble":["the record is not written: no space left on device"],`
	case "bare":
		results = ""
	}
	status := fmt.Sprintf(`{"board":%q,"agent":"1.2.3","status":{"version":"1.2.3","address":"192.0.2.7:8080",%s"uptime_seconds":90.5,"generation":2,`+
		`"sessions":{"open":3},"validators":[{"validators":["sequence","min_timeout"]},{"validators":["rules"]}]%s}}`, board, trouble, results)
	reload := fmt.Sprintf(`{"board":%q,"ok":true}`, board)
	switch behaviour {
	case "refuses":
		reload = fmt.Sprintf(`{"board":%q,"problem":{"title":"Unprocessable Entity","status":422,"detail":"stepagent.toml:3:1: port: 0 is out of range"}}`, board)
	case "strange":
		status, reload = "[]", "[]"
	}
	answers := map[string]string{fleet.AllStatus("default"): status, fleet.Status("default", board): status, fleet.Reload("default", board): reload}
	for subject, text := range answers {
		if behaviour == "silent" && subject == fleet.Reload("default", board) {
			text = ""
		}
		_, err := conn.Subscribe(subject, func(m *nats.Msg) {
			if text != "" {
				_ = m.Respond([]byte(text)) // the script finds what is missing
			}
		})
		if err != nil {
			return err
		}
	}
	return conn.FlushTimeout(time.Minute)
}

// A lineWriter hands on what is written to it.
type lineWriter chan string

func (w lineWriter) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}

// The list that is watched is shown again; in JSON, what has changed.
func TestBoardsWatch(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t)
	connect := func() *natsconn.Conn {
		conn, err := natsconn.Connect(natsconn.Options{URLs: []string{node.URL}})
		if err == nil {
			err = awaitNATS(context.Background(), conn, time.Minute)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		return conn
	}
	conn, agent := connect(), connect()
	if err := answerAs(agent, "a", ""); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	table, changes := make(lineWriter, 100), make(lineWriter, 100)
	done := make(chan error, 2)
	go func() {
		done <- (&boardsList{wait: 100 * time.Millisecond, watch: true}).follow(ctx, table, conn, "default")
	}()
	go func() {
		done <- (&boardsList{wait: 100 * time.Millisecond, watch: true, format: listFormat{json: true}}).follow(ctx, changes, conn, "default")
	}()
	await := func(w lineWriter, want string) {
		for text := ""; !strings.Contains(text, want); text = <-w {
		}
	}
	await(table, "a      1.2.3  good")
	await(changes, `{"board":"a"`)
	if err := answerAs(agent, "b", "degraded"); err != nil {
		t.Fatal(err)
	}
	await(table, "b      1.2.3  degraded")
	if got := <-changes; !strings.HasPrefix(got, `{"board":"b"`) || strings.Contains(got, `"board":"a"`) {
		t.Error(got)
	}
	cancel()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
