package fleetview_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/stepagent/stepagent/agent/internal/client/fleetview"
	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
)

// connect returns a connection that is open.
func connect(t *testing.T, node *natstest.Node) *natsconn.Conn {
	t.Helper()
	conn, err := natsconn.Connect(natsconn.Options{URLs: []string{node.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	for end := time.Now().Add(time.Minute); !conn.Connected(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(conn.Status())
		}
	}
	return conn
}

// answer answers requests to the subjects with a text.
func answer(t *testing.T, conn *natsconn.Conn, text string, subjects ...string) {
	t.Helper()
	for _, subject := range subjects {
		_, err := conn.Subscribe(subject, func(m *nats.Msg) {
			if err := m.Respond([]byte(text)); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.FlushTimeout(time.Minute); err != nil {
		t.Fatal(err)
	}
}

func status(board string) string {
	return fmt.Sprintf(`{"board":%q,"agent":"1.2.3","status":{"sessions":{"open":2},"validators":[{"validators":["a","b"]}]}}`, board)
}

func TestList(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t)
	conn, agents := connect(t, node), connect(t, node)
	ctx := context.Background()
	if boards, err := fleetview.List(ctx, conn, "lab", nil, time.Minute); err != nil || len(boards) != 0 {
		t.Errorf("%v, error %v", boards, err) // at once, as there is none
	}
	if boards, err := fleetview.List(ctx, conn, "lab", []string{"x", "y"}, time.Minute); err != nil || len(boards) != 0 {
		t.Errorf("%v, error %v", boards, err)
	}
	for n := 199; n >= 0; n-- {
		name := fmt.Sprintf("b%03d", n)
		answer(t, agents, status(name), fleet.AllStatus("lab"), fleet.Status("lab", name))
	}
	answer(t, agents, status("elsewhere"), fleet.AllStatus("other"))
	boards, err := fleetview.List(ctx, conn, "lab", nil, 2*time.Second)
	if err != nil || len(boards) != 200 || boards[0].Name != "b000" || boards[199].Name != "b199" {
		t.Fatalf("%d boards, error %v", len(boards), err)
	}
	if b := boards[7]; b.Agent != "1.2.3" || b.Status.Sessions.Open != 2 || !slices.Equal(b.Status.Validators(), []string{"a", "b"}) || len(b.Raw) == 0 {
		t.Errorf("%+v", b)
	}
	boards, err = fleetview.List(ctx, conn, "lab", []string{"b007", "none", "b003"}, time.Minute)
	if err != nil || len(boards) != 2 || boards[0].Name != "b003" {
		t.Errorf("%+v, error %v", boards, err)
	}
}

// Two agents with one name are one of the boards that were asked.
func TestListOfAgentsWithOneName(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t)
	conn, agents := connect(t, node), connect(t, node)
	asked := map[string]chan *nats.Msg{"twin": make(chan *nats.Msg, 2), "slow": make(chan *nats.Msg, 1)}
	for _, name := range []string{"twin", "twin", "slow"} {
		if _, err := agents.ChanSubscribe(fleet.Status("lab", name), asked[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := agents.FlushTimeout(time.Minute); err != nil {
		t.Fatal(err)
	}
	go func() {
		for _, name := range []string{"twin", "twin", "slow"} {
			if err := (<-asked[name]).Respond([]byte(status(name))); err != nil {
				t.Error(err)
			}
		}
	}()
	boards, err := fleetview.List(context.Background(), conn, "lab", []string{"twin", "slow"}, time.Minute)
	if err != nil || len(boards) != 3 || boards[0].Name != "slow" {
		t.Errorf("%+v, error %v", boards, err)
	}
}

// What cannot be read is a board in trouble.
func TestStrangeAnswers(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t)
	conn, agents := connect(t, node), connect(t, node)
	texts := []string{`no JSON`, `{"board":"b","agent":"2","status":{"sessions":7}}`, `{"board":"c","agent":"2"}`}
	for _, text := range texts {
		answer(t, agents, text, fleet.AllStatus("lab"))
	}
	boards, err := fleetview.List(context.Background(), conn, "lab", nil, time.Second)
	if err != nil || len(boards) != len(texts) {
		t.Fatalf("%+v, error %v", boards, err)
	}
	for _, b := range boards {
		if len(b.Status.Trouble) != 1 || !strings.HasPrefix(b.Status.Trouble[0], "its answer cannot be read: ") {
			t.Errorf("%+v", b)
		}
	}
}

func TestRollOut(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t)
	conn, agents := connect(t, node), connect(t, node)
	for name, text := range map[string]string{
		"a": `{"board":"a","ok":true}`, "b": `{"board":"b","ok":true}`,
		"refuses": `{"board":"refuses","problem":{"title":"t","status":422,"detail":"port: 0 is out of range"}}`,
		"strange": `7`, "says-nothing": `{"board":"x"}`,
	} {
		answer(t, agents, text, fleet.Reload("lab", name))
	}
	if _, err := agents.Subscribe(fleet.Reload("lab", "silent"), func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	if err := agents.FlushTimeout(time.Minute); err != nil {
		t.Fatal(err)
	}
	for end, want := range map[string]string{
		"": "", "refuses": "refuses: refused: port: 0 is out of range", "strange": "its answer cannot be read", "says-nothing": "says neither",
		"silent": "no answer within 1s; it may still reload", "none": "does not answer any more; nothing was sent",
	} {
		boards := []string{"a", "b"}
		if end != "" {
			boards = append(boards, end, "a")
		}
		var told []string
		done, err := fleetview.RollOut(context.Background(), conn, "lab", boards, time.Second, func(board string, _ error) { told = append(told, board) })
		var refused *fleetview.RefusedError
		if done != 2 || (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || errors.As(err, &refused) != (end == "refuses") {
			t.Errorf("%s: %d done, error %v", end, done, err)
		}
		if want := min(len(boards), 3); len(told) != want {
			t.Errorf("%s: told of %v", end, told)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done, err := fleetview.RollOut(ctx, conn, "lab", []string{"a", "b"}, time.Minute, func(string, error) { cancel() })
	if done != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d done, error %v", done, err)
	}
}
