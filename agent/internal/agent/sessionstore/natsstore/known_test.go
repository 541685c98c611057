package natsstore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
)

// Servers that have lost what they acknowledged do not take a session back, as long as an agent knows
// better.
func TestLostRecords(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1)
	s := open(t, all.urls(), quick)
	was := keep(t, s, record("x", counted(1)), 0)
	s.keys["x"] = known{sequence: uint64(was) + 1, at: time.Now(), mine: true} // as if that had been acknowledged
	for range 2 {
		eventually(t, "an older record is none", func() bool {
			_, _, ok, err := s.Load(t.Context(), "x")
			if ok || !errors.Is(err, sessionstore.ErrAway) {
				t.Fatalf("an older record: %t, error %v", ok, err)
			}
			return strings.Contains(err.Error(), "NATS has lost steps")
		})
	}
	s.Forget("x")
	eventually(t, "the record is taken again", func() bool {
		_, _, ok, _ := s.Load(t.Context(), "x")
		return ok
	})

	stream, err := s.conn.JS.Stream(t.Context(), s.stream())
	must(t, err)
	must(t, stream.Purge(t.Context(), jetstream.WithPurgeSubject(s.subject("x"))))
	if _, _, ok, err := s.Load(t.Context(), "x"); ok || !errors.Is(err, sessionstore.ErrAway) {
		t.Errorf("nothing is left: %t, error %v", ok, err)
	}
	s.keys["x"] = known{sequence: uint64(was), at: time.Now().Add(-vanishTime)}
	if _, _, ok, err := s.Load(t.Context(), "x"); ok || err != nil {
		t.Errorf("nothing is left of what was stored long ago: %t, error %v", ok, err)
	}
}
