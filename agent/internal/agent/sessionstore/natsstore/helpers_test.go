package natsstore

import (
	"context"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/protocol"
)

// open opens a store that is closed with the test.
func open(t testing.TB, urls []string, b bounds) *Store {
	t.Helper()
	s, err := Open(Options{Conn: connect(t, urls), Bucket: testBucket, RememberedReplies: 16, bounds: b})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	eventually(t, "the bucket was looked at", func() bool { return s.Status().Replicas > 0 })
	return s
}

// record returns a session whose steps were those with the given reqs. Its memory lists them.
func record(key string, reqs []int64) *sessionstore.Record {
	position, now := len(reqs), time.Now()
	id := int64(position)
	var list []byte
	for _, req := range reqs {
		list = binary.AppendVarint(list, req)
	}
	r := &sessionstore.Record{
		Key: key, Name: key, Steps: 1 << 20, Position: position, Passed: position,
		Client: sessionstore.Client{Addr: netip.MustParseAddrPort("192.0.2.7:40000")},
		Memory: []sessionstore.State{{Validator: "list", State: list}},
		Began:  now.Add(-time.Second), Latest: time.Second, Replied: now, GapFrom: now,
	}
	if position > 0 {
		req := protocol.NumReq(reqs[position-1])
		r.Req, r.Reply = req, &protocol.Reply{StepID: &id, ErrorCode: position, Req: req, Session: key}
	}
	return r
}

// reqsOf returns the reqs of a session's steps.
func reqsOf(r *sessionstore.Record) (reqs []int64) {
	for list := r.Memory[0].State; len(list) > 0; {
		req, n := binary.Varint(list)
		reqs, list = append(reqs, req), list[n:]
	}
	return reqs
}

// counted returns the reqs 1 to n.
func counted(n int) (reqs []int64) {
	for i := range n {
		reqs = append(reqs, int64(i+1))
	}
	return reqs
}

// commit stores a record.
func commitTo(ctx context.Context, s *Store, r *sessionstore.Record, was sessionstore.Revision) (sessionstore.Revision, error) {
	c, err := s.Begin(r, was)
	if err != nil {
		return 0, err
	}
	return s.Wait(ctx, c)
}

// keep stores a record that must be stored.
func keep(t testing.TB, s *Store, r *sessionstore.Record, was sessionstore.Revision) sessionstore.Revision {
	t.Helper()
	now, err := commitTo(context.Background(), s, r, was)
	must(t, err)
	return now
}

// load loads a session that must be there.
func load(t testing.TB, s *Store, key string) (sessionstore.Restored, sessionstore.Revision) {
	t.Helper()
	found, was, ok, err := s.Load(context.Background(), key)
	must(t, err)
	if !ok {
		t.Fatalf("nothing is stored of %s", key)
	}
	return found, was
}

// replied returns the reqs of replies.
func replied(replies []protocol.Reply) (reqs []int64) {
	for i := range replies {
		n, _ := replies[i].Req.Num()
		reqs = append(reqs, n)
	}
	return reqs
}
