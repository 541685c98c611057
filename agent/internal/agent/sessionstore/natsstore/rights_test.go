package natsstore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
)

// rights are those that the user of a board needs for its sessions, and none of a user that may do no more.
const rights = `authorization { users: [
 { user: admin, password: secret },
 { user: stranger, password: secret, permissions: { publish: { deny: ">" }, subscribe: ["_INBOX.>"] } },
 { user: reader, password: secret, permissions: {
  publish: ["$JS.API.STREAM.INFO.KV_sessions", "$JS.API.STREAM.MSG.GET.KV_sessions"], subscribe: ["_INBOX.>"] } },
 { user: board, password: secret, permissions: {
  publish: ["$KV.sessions.>", "$JS.API.STREAM.INFO.KV_sessions", "$JS.API.STREAM.MSG.GET.KV_sessions"], subscribe: ["_INBOX.>"] } },
] }`

// openAs opens the bucket of the tests as a user.
func openAs(t *testing.T, url, user string, within bounds) *Store {
	t.Helper()
	conn, err := natsconn.Connect(natsconn.Options{URLs: []string{url}, User: user, Password: "secret"})
	must(t, err)
	s, err := Open(Options{Conn: conn, Bucket: testBucket, RememberedReplies: 4, bounds: within})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// The user of a board needs few rights. A user without them is told what was refused.
func TestRights(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t, natstest.Config(rights))
	as := func(user string) *Store { return openAs(t, node.URL, user, quick) }
	admin, board, stranger := as("admin"), as("board"), as("stranger")
	_, err := CreateWhenConnected(t.Context(), admin.conn, CreateOptions{Bucket: testBucket, Replicas: 1})
	must(t, err)
	_, err = CreateWhenConnected(t.Context(), stranger.conn, CreateOptions{Bucket: testBucket, Replicas: 1})
	if err == nil || !strings.HasSuffix(err.Error(), `Publish to "$JS.API.STREAM.CREATE.KV_sessions"; give the user this right`) {
		t.Errorf("a user who may create nothing: %v", err)
	}
	eventually(t, "the bucket was looked at", func() bool { return board.Status().Replicas == 1 })
	was := keep(t, board, record("x", counted(1)), 0)
	keep(t, board, record("x", counted(2)), was)
	if found, _ := load(t, board, "x"); len(found.Replies) != 2 {
		t.Errorf("%d replies", len(found.Replies))
	}
	board.Forget("x")
	eventually(t, "the key is removed", func() bool {
		_, _, ok, err := board.Load(t.Context(), "x")
		must(t, err)
		return !ok
	})
	eventually(t, "the refusal is told", func() bool {
		trouble := stranger.Status().Trouble
		return strings.Contains(trouble, "STREAM.INFO.KV_sessions") && strings.Contains(trouble, "give the user this right")
	})
}

// TestNoRightToStore: a user who may read and not store is told of that with the first step, and not after a
// timeout. The store is in trouble until the user has the right, whether or not a step comes.
func TestNoRightToStore(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t, natstest.Config(rights))
	as := func(user string) *Store {
		return openAs(t, node.URL, user, bounds{answer: enough, away: enough, doubt: enough, leave: enough})
	}
	_, err := CreateWhenConnected(t.Context(), as("admin").conn, CreateOptions{Bucket: testBucket, Replicas: 1})
	must(t, err)
	reader := as("reader")
	eventually(t, "the bucket was looked at", func() bool { return reader.Status().Replicas == 1 })
	began := time.Now()
	for range 3 {
		_, err := commitTo(t.Context(), reader, record("x", counted(1)), 0)
		if !errors.Is(err, sessionstore.ErrAway) || !strings.Contains(err.Error(), `Publish to "$KV.sessions.x"; give the user this right`) {
			t.Errorf("error %v", err)
		}
	}
	if took := time.Since(began); took > enough/2 {
		t.Errorf("it took %v", took)
	}
	for range 2 {
		if !reader.look() || !strings.Contains(reader.Status().Trouble, "$KV.sessions.x") {
			t.Errorf("trouble %q", reader.Status().Trouble)
		}
	}
	reader.askRights() // the right is still missing
	if reader.Status().Trouble == "" {
		t.Error("no trouble")
	}
	board := as("board")
	eventually(t, "the bucket was looked at", func() bool { return board.Status().Replicas == 1 })
	board.report("as before the user had the right", nats.ErrPermissionViolation)
	if board.look(); board.Status().Trouble != "" || board.Status().Sessions > 0 {
		t.Errorf("the user has the right: %+v", board.Status())
	}
	keep(t, board, record("x", counted(1)), 0)
}
