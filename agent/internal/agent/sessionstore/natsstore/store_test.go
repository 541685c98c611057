package natsstore

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/protocol"
)

var _ sessionstore.Shared = (*Store)(nil)

// same compares records whose times may have lost some precision.
var same = cmp.Options{
	cmp.Comparer(func(a, b protocol.ReqID) bool { return a == b }),
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	cmp.Comparer(func(a, b time.Time) bool { return a.IsZero() == b.IsZero() && a.Sub(b).Abs() < time.Millisecond }),
	cmpopts.EquateEmpty(),
}

// A session goes on at another agent, with its replies; then the first one loses its next commit.
func TestSessionMoves(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1)
	a, b := open(t, all.urls(), bounds{}), open(t, all.urls(), bounds{})
	const key = "bench 7.a/ü>*"
	if _, was, ok, err := a.Load(context.Background(), key); was != 0 || ok || err != nil {
		t.Fatalf("a new name: revision %d, %t, error %v", was, ok, err)
	}
	var was sessionstore.Revision
	for n := range 20 {
		was = keep(t, a, record(key, counted(n+1)), was)
	}
	last := record(key, counted(21))
	was = keep(t, a, last, was)
	found, revision := load(t, b, key)
	if diff := cmp.Diff(*last, found.Record, same); diff != "" {
		t.Errorf("(- stored, + loaded)\n%s", diff)
	}
	if revision != was || found.Revision != was || found.Times != sessionstore.TimesExact {
		t.Errorf("revisions %d and %d, times %d; want %d", revision, found.Revision, found.Times, was)
	}
	if got := replied(found.Replies); !slices.Equal(got, counted(21)[5:]) {
		t.Errorf("replies to %v", got)
	}
	keep(t, b, record(key, counted(22)), revision)
	if _, err := commitTo(context.Background(), a, record(key, append(counted(21), 99)), was); !errors.Is(err, sessionstore.ErrConflict) {
		t.Errorf("the commit of the first agent: %v", err)
	}
	if found, _ := load(t, a, key); found.Position != 22 || found.Req != protocol.NumReq(22) {
		t.Errorf("position %d, req %v", found.Position, found.Req)
	}
	if s := a.Status(); s.Conflicts != 1 || s.Commits != 21 || s.Loads != 2 || s.Sessions != 0 || s.Trouble != "" || s.Bucket != testBucket ||
		s.Replicas != 1 || s.Server == "" || s.LastCommit.IsZero() || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "one replica") {
		t.Errorf("status %+v", s)
	}
	if s := b.Status(); s.Sessions != 1 {
		t.Errorf("status %+v", s)
	}
}

// A bucket keeps the last replies of a session that has more steps than it has revisions, and of sessions
// one after another.
func TestReplies(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1)
	a := open(t, all.urls(), bounds{})
	a.opts.RememberedReplies = 1000
	var was sessionstore.Revision
	for n := range 100 {
		r := record("a", counted(n+1))
		if n == 60 {
			r.Reply = nil // the last reply was given again
		}
		r.Ended = n == 50
		was = keep(t, a, r, was)
	}
	found, _ := load(t, a, "a")
	want := slices.DeleteFunc(counted(100)[100-History:], func(req int64) bool { return req == 61 })
	if got := replied(found.Replies); !slices.Equal(got, want) {
		t.Errorf("replies to %v", got)
	}
}

// Only the agent that has stored the last record removes it, and then the name begins anew.
func TestForget(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1)
	a, b := open(t, all.urls(), bounds{}), open(t, all.urls(), bounds{})
	was := keep(t, a, record("x", counted(1)), 0)
	load(t, b, "x")
	b.Forget("x") // it has only read it
	keep(t, b, record("y", counted(1)), 0)
	_, of := load(t, a, "y")
	keep(t, a, record("y", counted(2)), of)
	b.Forget("y") // it was the last until a was
	time.Sleep(100 * time.Millisecond)
	load(t, b, "x")
	load(t, b, "y")
	a.Forget("x")
	var revision sessionstore.Revision
	eventually(t, "the key is removed", func() bool {
		_, at, ok, err := b.Load(context.Background(), "x")
		must(t, err)
		revision = at
		return !ok
	})
	if _, err := commitTo(context.Background(), a, record("x", counted(2)), was); !errors.Is(err, sessionstore.ErrConflict) {
		t.Errorf("a commit of before: %v", err)
	}
	keep(t, b, record("x", counted(1)), revision)
	if found, _ := load(t, a, "x"); len(found.Replies) != 1 {
		t.Errorf("%d replies", len(found.Replies))
	}
}

// A record without a name belongs to one agent alone, and is not stored.
func TestNameless(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1)
	a := open(t, all.urls(), bounds{})
	r := record("192.0.2.7:40000#1", counted(1))
	r.Name = ""
	if now := keep(t, a, r, 0); now != 0 {
		t.Errorf("revision %d", now)
	}
	if _, _, ok, err := a.Load(context.Background(), r.Key); ok || err != nil {
		t.Errorf("%t, error %v", ok, err)
	}
}

// What an agent cannot read makes it busy, and is never overwritten.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1)
	a := open(t, all.urls(), bounds{})
	was := keep(t, a, record("x", counted(3)), 0)
	whole, err := a.get(t.Context(), getRequest{Last: a.subject("x")})
	must(t, err)
	newer := slices.Clone(whole.Data)
	newer[len(magic)], newer[len(magic)+1] = format+2, format+1
	seal(newer)
	damaged := slices.Clone(whole.Data)
	damaged[len(damaged)-1] ^= 1
	for name, test := range map[string]struct {
		value []byte
		want  string
	}{
		"newer":   {newer, "the session cannot be stored: it was stored by a newer version of the agent; upgrade this agent, or let the client go to a newer one"},
		"damaged": {damaged, "the session cannot be stored: it is damaged, or was not stored by an agent; remove it: nats kv purge sessions x"},
		"foreign": {[]byte("hello"), "the session cannot be stored: it is damaged, or was not stored by an agent; remove it: nats kv purge sessions x"},
	} {
		_, err := a.conn.JS.PublishMsg(t.Context(), &nats.Msg{Subject: a.subject("x"), Data: test.value})
		must(t, err)
		if _, _, ok, err := a.Load(t.Context(), "x"); ok || !errors.Is(err, sessionstore.ErrAway) || err.Error() != test.want {
			t.Errorf("%s: %t, error %v", name, ok, err)
		}
		for _, revision := range []sessionstore.Revision{0, was} {
			if _, err := commitTo(t.Context(), a, record("x", counted(4)), revision); !errors.Is(err, sessionstore.ErrConflict) {
				t.Errorf("%s: a commit: %v", name, err)
			}
		}
	}
}

// A record that is too large is refused, and the session can go on.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1)
	a := open(t, all.urls(), bounds{})
	large := record("x", counted(1))
	for n, want := range map[int]bool{maxValueBytes - 4096: true, maxValueBytes: false} {
		large.Memory[0].State = make([]byte, n)
		_, err := commitTo(t.Context(), a, large, 0)
		if ok := err == nil; ok != want || err != nil && !errors.Is(err, sessionstore.ErrAway) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// Close ends calls that wait, and later ones fail.
func TestClose(t *testing.T) {
	s, err := Open(Options{Conn: connect(t, []string{"nats://127.0.0.1:1"}), Bucket: testBucket, bounds: bounds{answer: enough, away: enough, doubt: enough}})
	must(t, err)
	c, err := s.Begin(record("x", counted(1)), 0)
	must(t, err)
	ended := make(chan error)
	go func() {
		_, err := s.Wait(context.Background(), c)
		ended <- err
	}()
	must(t, s.Close())
	must(t, s.Close())
	if err := <-ended; !errors.Is(err, sessionstore.ErrAway) {
		t.Errorf("a commit that waits: %v", err)
	}
	if _, err := s.Begin(record("x", counted(1)), 0); !errors.Is(err, sessionstore.ErrAway) {
		t.Errorf("a later one: %v", err)
	}
}
