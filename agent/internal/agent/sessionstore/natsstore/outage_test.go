package natsstore

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
)

// quick are bounds for tests in which they are exceeded.
var quick = bounds{answer: 200 * time.Millisecond, away: 500 * time.Millisecond, doubt: 1500 * time.Millisecond, leave: 400 * time.Millisecond}

// Without servers a commit and a read fail after some time, and further ones at once.
func TestAway(t *testing.T) {
	s, err := Open(Options{Conn: connect(t, []string{"nats://127.0.0.1:1"}), Bucket: testBucket, bounds: quick})
	must(t, err)
	defer func() { must(t, s.Close()) }()
	began := time.Now()
	_, err = commitTo(t.Context(), s, record("x", counted(1)), 0)
	took := time.Since(began)
	if !errors.Is(err, sessionstore.ErrAway) || took < quick.away {
		t.Errorf("after %v: %v", took, err)
	}
	began = time.Now()
	for range 10 {
		_, err := commitTo(t.Context(), s, record("x", counted(1)), 0)
		_, _, ok, loadErr := s.Load(t.Context(), "y")
		if !errors.Is(err, sessionstore.ErrAway) || !errors.Is(loadErr, sessionstore.ErrAway) || ok {
			t.Errorf("%v, %v", err, loadErr)
		}
	}
	if took := time.Since(began); took > quick.away {
		t.Errorf("20 further calls took %v", took)
	}
	if s := s.Status(); s.Trouble == "" || s.Commits != 0 {
		t.Errorf("status %+v", s)
	}
}

// A bucket that is created later, or is full, is told of, and used as soon as it can be.
func TestBucketMissingThenFull(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t)
	s, err := Open(Options{Conn: connect(t, []string{node.URL}), Bucket: testBucket, RememberedReplies: 1, bounds: quick})
	must(t, err)
	defer func() { must(t, s.Close()) }()
	eventually(t, "the missing bucket is told of", func() bool { return strings.Contains(s.Status().Trouble, "there is no bucket sessions in NATS") })
	if _, err := commitTo(t.Context(), s, record("x", counted(1)), 0); !errors.Is(err, sessionstore.ErrAway) || !strings.Contains(err.Error(), "create it") {
		t.Errorf("without a bucket: %v", err)
	}
	must(t, Create(t.Context(), s.conn.JS, CreateOptions{Bucket: testBucket, Replicas: 1, MaxBytes: 2048}))
	eventually(t, "the bucket is found", func() bool { return s.Status().Trouble == "" })
	var was sessionstore.Revision
	for err = nil; err == nil; {
		var now sessionstore.Revision
		if now, err = commitTo(t.Context(), s, record("x", counted(1)), was); err == nil {
			was = now
		}
	}
	if !errors.Is(err, sessionstore.ErrAway) || !strings.Contains(err.Error(), "NATS cannot store more in the bucket sessions: maximum bytes exceeded") {
		t.Errorf("a full bucket: %v", err)
	}
	load(t, s, "x") // what is stored can be read
	s.look()
	if trouble := s.Status().Trouble; !strings.Contains(trouble, "cannot store more") {
		t.Errorf("trouble %q", trouble)
	}
	stream, err := s.conn.JS.Stream(t.Context(), s.stream())
	must(t, err)
	config := stream.CachedInfo().Config
	config.MaxBytes = -1
	_, err = s.conn.JS.UpdateStream(t.Context(), config)
	must(t, err)
	keep(t, s, record("x", counted(2)), was)
	if trouble := s.Status().Trouble; trouble != "" {
		t.Errorf("trouble %q", trouble)
	}
}

// A commit that meets a stopped server is sent again until the server goes on, and stored once.
func TestStoppedServerGoesOn(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1)
	s := open(t, all.urls(), bounds{answer: 100 * time.Millisecond, away: enough, doubt: enough})
	was := keep(t, s, record("x", counted(1)), 0)
	all.nodes[0].Stop()
	c, err := s.Begin(record("x", counted(2)), was)
	must(t, err)
	var now sessionstore.Revision
	waited := make(chan error)
	go func() {
		var err error
		now, err = s.Wait(context.Background(), c)
		waited <- err
	}()
	time.Sleep(time.Second)
	all.nodes[0].Continue()
	must(t, <-waited)
	found, revision := load(t, s, "x")
	if found.Position != 2 || revision != now || len(found.Replies) != 2 {
		t.Errorf("position %d, revisions %d and %d, %d replies", found.Position, revision, now, len(found.Replies))
	}
	info, err := s.conn.JS.Stream(t.Context(), s.stream())
	must(t, err)
	if n := info.CachedInfo().State.Msgs; n != 2 || s.Status().Resent == 0 {
		t.Errorf("%d messages, %d sent again", n, s.Status().Resent)
	}
	keep(t, s, record("x", counted(3)), now)
}

// A commit that is given up in doubt may be stored later. Then the next one conflicts, and the reply is
// found.
func TestInDoubt(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1)
	s := open(t, all.urls(), quick)
	was := keep(t, s, record("x", counted(1)), 0)
	all.nodes[0].Stop()
	if _, err := commitTo(t.Context(), s, record("x", counted(2)), was); !errors.Is(err, sessionstore.ErrInDoubt) {
		t.Errorf("a stopped server: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := commitTo(ctx, s, record("y", counted(1)), 0); !errors.Is(err, sessionstore.ErrInDoubt) {
		t.Errorf("a context that ends: %v", err)
	}
	if s.Status().Trouble == "" {
		t.Error("no trouble is told")
	}
	all.nodes[0].Continue()
	eventually(t, "the record is stored", func() bool {
		found, _, ok, err := s.Load(t.Context(), "x")
		return err == nil && ok && found.Position == 2
	})
	if _, err := commitTo(t.Context(), s, record("x", counted(2)), was); !errors.Is(err, sessionstore.ErrConflict) {
		t.Errorf("the same step again: %v", err)
	}
	if found, _ := load(t, s, "x"); found.Position != 2 || len(found.Replies) != 2 {
		t.Errorf("position %d, %d replies", found.Position, len(found.Replies))
	}
	if trouble := s.Status().Trouble; trouble != "" {
		t.Errorf("trouble %q", trouble)
	}
}

// A commit that another agent has overtaken while it was in doubt is known to have lost, or to have been
// stored before.
func TestSettle(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1)
	a, b := open(t, all.urls(), bounds{}), open(t, all.urls(), bounds{})
	was := keep(t, a, record("x", counted(1)), 0)
	begin := func(reqs []int64, was sessionstore.Revision) *commit {
		c, err := a.Begin(record("x", reqs), was)
		must(t, err)
		c.Of.(*commit).inDoubt = true
		return c.Of.(*commit)
	}
	lost, won := begin([]int64{1, 7}, was), begin(counted(2), was)
	now, err := a.sendOnce(t.Context(), won)
	must(t, err)
	later := keep(t, b, record("x", counted(3)), sessionstore.Revision(now))
	if _, err := a.send(t.Context(), lost); !errors.Is(err, sessionstore.ErrConflict) {
		t.Errorf("a commit that lost: %v", err)
	}
	if at, err := a.send(t.Context(), won); at != now || err != nil {
		t.Errorf("a commit that was stored at %d: %d, error %v", now, at, err)
	}
	for n := range History {
		later = keep(t, b, record("x", counted(n+4)), later)
	}
	if _, err := a.send(t.Context(), won); !errors.Is(err, sessionstore.ErrInDoubt) {
		t.Errorf("a commit of which nothing is left: %v", err)
	}
}

// A server that gives no answers, as one that has lost the others of its cluster, is left for another one.
func TestServerWithoutAnswers(t *testing.T) {
	good := startServers(t, 1).nodes[0]
	good.Kill()
	mute := natstest.Server(t, natstest.Config(`authorization { users: [ { user: any, password: any, permissions: { publish: { deny: ">" } } } ] }
		no_auth_user: any`))
	s, err := Open(Options{Conn: connect(t, []string{mute.URL, good.URL}), Bucket: testBucket, RememberedReplies: 1, bounds: quick})
	must(t, err)
	defer func() { must(t, s.Close()) }()
	eventually(t, "a connection", s.conn.Connected)
	good.Restart()
	eventually(t, "a record is stored", func() bool {
		_, err := commitTo(t.Context(), s, record("x", counted(1)), 0)
		return err == nil
	})
}

// What is doubtful about a bucket is told, and one that cannot be used is not.
func TestDoubts(t *testing.T) {
	s := &Store{opts: Options{Bucket: "b", RememberedReplies: 64, Kept: time.Hour}}
	good := jetstream.StreamConfig{Replicas: 3, MaxMsgsPerSubject: 64, MaxAge: 2 * time.Hour, AllowRollup: true, Discard: jetstream.DiscardNew}
	for want, change := range map[string]func(*jetstream.StreamConfig){
		"":                func(*jetstream.StreamConfig) {},
		"in memory":       func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"one replica":     func(c *jetstream.StreamConfig) { c.Replicas = 1 },
		"before they":     func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode },
		"keeps 1 rev":     func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 },
		"removes a sess":  func(c *jetstream.StreamConfig) { c.MaxAge = time.Minute },
		"has no TTL":      func(c *jetstream.StreamConfig) { c.MaxAge = 0 },
		"when it is full": func(c *jetstream.StreamConfig) { c.Discard, c.MaxBytes = jetstream.DiscardOld, 1 },
	} {
		c := good
		change(&c)
		doubts := s.doubtsOf(&c)
		if got := strings.Join(doubts, "; "); len(doubts) > 1 || (got == "") != (want == "") || !strings.Contains(got, want) || s.troubleOf(&c) != "" {
			t.Errorf("%q: doubts %q, trouble %q", want, got, s.troubleOf(&c))
		}
	}
	good.AllowRollup = false
	if trouble := s.troubleOf(&good); !strings.Contains(trouble, "name another in session.bucket") {
		t.Errorf("trouble %q", trouble)
	}
}
