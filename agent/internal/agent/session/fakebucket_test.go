package session_test

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
)

// A fakeBucket is what several agents share: one revision of each key.
type fakeBucket struct {
	fates      func() fate // nil: each commit succeeds
	remembered int

	mu   sync.Mutex // guards the fields below, and those of the stores
	last sessionstore.Revision
	kept map[string]kept
	late []*fakeWrite // sent by commits that are in doubt, and not stored yet

	stores []*bucketStore // that were opened
}

// A fakeWrite is a compare-and-set.
type fakeWrite struct {
	record *sessionstore.Record
	was    sessionstore.Revision
}

func newFakeBucket() *fakeBucket {
	return &fakeBucket{remembered: options.RememberedReplies, kept: map[string]kept{}}
}

// write stores a record if the revision is the one that it replaces. The caller holds mu.
func (b *fakeBucket) write(w *fakeWrite) (sessionstore.Revision, error) {
	before := b.kept[w.record.Key]
	if before.revision != w.was {
		return 0, sessionstore.ErrConflict
	}
	b.last++
	b.kept[w.record.Key] = keep(before.replies, w.record, b.last, b.remembered)
	return b.last, nil
}

// arrive lets late writes arrive.
func (b *fakeBucket) arrive() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.late {
		_, _ = b.write(w) // of agents that do not wait any more
	}
	b.late = nil
}

// A bucketStore is one agent's view of the bucket.
type bucketStore struct {
	*fakeBucket
	dead bool // the agent's process was killed: what it still does has no effect
	own  map[string]sessionstore.Revision
	seen map[string]bool // keys that were committed or found, and not forgotten since
}

func (b *fakeBucket) open() *bucketStore {
	s := &bucketStore{fakeBucket: b, own: map[string]sessionstore.Revision{}, seen: map[string]bool{}}
	b.stores = append(b.stores, s)
	return s
}

func (s *bucketStore) Waits() bool                       { return true }
func (s *bucketStore) Close() error                      { return nil }
func (s *bucketStore) Status() sessionstore.Status       { return sessionstore.Status{} }
func (s *bucketStore) Restored() []sessionstore.Restored { return nil }

func (s *bucketStore) Begin(r *sessionstore.Record, was sessionstore.Revision) (sessionstore.Commit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Name == "":
		return sessionstore.Commit{Revision: was}, nil
	case s.dead:
		return sessionstore.Commit{}, sessionstore.ErrAway
	}
	k := keep(nil, r, 0, 1)
	return sessionstore.Commit{Of: &fakeWrite{&k.record, was}}, nil
}

func (s *bucketStore) Wait(_ context.Context, c sessionstore.Commit) (sessionstore.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, ok := c.Of.(*fakeWrite)
	if !ok {
		return c.Revision, nil
	}
	if s.dead {
		return 0, sessionstore.ErrAway
	}
	fate := succeeds
	if s.fates != nil {
		fate = s.fates()
	}
	switch fate {
	case refused, conflicts:
		return 0, fmt.Errorf("%w: the servers do not answer", sessionstore.ErrAway)
	case lostInDoubt:
		s.late = append(s.late, w)
		return 0, sessionstore.ErrInDoubt
	case killedBefore:
		s.dead = true
		panic(killed{})
	}
	now, err := s.write(w)
	switch {
	case fate == killedAfter:
		s.dead = true
		panic(killed{})
	case fate == storedInDoubt:
		return 0, sessionstore.ErrInDoubt
	case err != nil:
		delete(s.own, w.record.Key)
	default:
		s.own[w.record.Key], s.seen[w.record.Key] = now, true
	}
	return now, err
}

func (s *bucketStore) Load(_ context.Context, key string) (sessionstore.Restored, sessionstore.Revision, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead || s.fates != nil && s.fates() == refused {
		return sessionstore.Restored{}, 0, false, fmt.Errorf("%w: the servers do not answer", sessionstore.ErrAway)
	}
	delete(s.own, key)
	k, ok := s.kept[key]
	if ok {
		s.seen[key] = true
	}
	found := sessionstore.Restored{Record: k.record, Replies: slices.Clone(k.replies), Revision: k.revision}
	return found, k.revision, ok, nil
}

func (s *bucketStore) Forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if own, ok := s.own[key]; ok && !s.dead && s.kept[key].revision == own {
		delete(s.kept, key)
	}
	delete(s.own, key)
	delete(s.seen, key)
}
