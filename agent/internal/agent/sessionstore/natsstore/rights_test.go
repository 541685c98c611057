package natsstore

import (
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
)

// rights are those that the user of a board needs for its sessions, and none of a user that may do no more.
const rights = `authorization { users: [
 { user: admin, password: secret },
 { user: stranger, password: secret, permissions: { publish: { deny: ">" }, subscribe: ["_INBOX.>"] } },
 { user: board, password: secret, permissions: {
  publish: ["$KV.sessions.>", "$JS.API.STREAM.INFO.KV_sessions", "$JS.API.STREAM.MSG.GET.KV_sessions"], subscribe: ["_INBOX.>"] } },
] }`

// The user of a board needs few rights. A user without them is told what was refused.
func TestRights(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t, natstest.Config(rights))
	as := func(user string) *Store {
		conn, err := natsconn.Connect(natsconn.Options{URLs: []string{node.URL}, User: user, Password: "secret"})
		must(t, err)
		s, err := Open(Options{Conn: conn, Bucket: testBucket, RememberedReplies: 4, bounds: quick})
		must(t, err)
		t.Cleanup(func() { must(t, s.Close()) })
		return s
	}
	admin, board, stranger := as("admin"), as("board"), as("stranger")
	must(t, CreateWhenConnected(t.Context(), admin.conn, CreateOptions{Bucket: testBucket, Replicas: 1}))
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
