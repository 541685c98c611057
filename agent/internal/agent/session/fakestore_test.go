package session_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A fate is what becomes of a commit.
type fate uint8

const (
	succeeds fate = iota
	refused
	conflicts
	storedInDoubt
	lostInDoubt
	killedBefore // the agent is, and the record is not stored
	killedAfter
)

// killed is what a commit panics with when the agent's process ends in its midst.
type killed struct{}

// A fakeStore is a Store in memory. What is on its disk outlives the process that uses it.
type fakeStore struct {
	fates      func() fate // nil: each commit succeeds
	waits      bool
	refuses    func() bool // whether Begin fails; nil: never
	remembered int

	mu        sync.Mutex // guards the fields below
	last      sessionstore.Revision
	live      map[string]kept // what the process knows
	disk      map[string]kept
	forgotten []string // with the next commit also on the disk
	dead      bool     // the process was killed: what it still does has no effect
	begun     []*fakeCommit
	commits   int
	found     []sessionstore.Restored
}

// kept is what is stored under a key.
type kept struct {
	record   sessionstore.Record
	replies  []protocol.Reply
	revision sessionstore.Revision
	times    sessionstore.Times // since the record was stored
}

func newFakeStore() *fakeStore {
	return &fakeStore{remembered: options.RememberedReplies, live: map[string]kept{}, disk: map[string]kept{}}
}

func (f *fakeStore) Waits() bool                       { return f.waits }
func (f *fakeStore) Close() error                      { return nil }
func (f *fakeStore) Status() sessionstore.Status       { return sessionstore.Status{} }
func (f *fakeStore) Restored() []sessionstore.Restored { return f.found }

// A fakeCommit is one that was begun. All that were begun have the same fate, which the first draws that is
// waited for.
type fakeCommit struct {
	next    kept
	settled bool
	err     error
}

func (f *fakeStore) Begin(r *sessionstore.Record, was sessionstore.Revision) (sessionstore.Commit, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if is := f.live[r.Key].revision; !f.dead && is != was {
		panic(fmt.Sprintf("%s: a record for revision %d, but stored is %d", r.Key, was, is))
	}
	if f.dead || f.refuses != nil && f.refuses() {
		return sessionstore.Commit{}, sessionstore.ErrAway
	}
	f.last++
	c := &fakeCommit{next: keep(f.live[r.Key].replies, r, f.last, f.remembered)}
	f.begun = append(f.begun, c)
	return sessionstore.Commit{Revision: f.last, Of: c}, nil
}

func (f *fakeStore) Wait(_ context.Context, commit sessionstore.Commit) (sessionstore.Revision, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := commit.Of.(*fakeCommit)
	if f.dead {
		return 0, sessionstore.ErrAway
	}
	if !c.settled {
		begun := f.begun
		f.begun = nil
		err := f.store(begun)
		for _, c := range begun {
			c.settled, c.err = true, err
		}
	}
	return commit.Revision, c.err
}

// store stores what was begun. The caller holds mu.
func (f *fakeStore) store(begun []*fakeCommit) error {
	fate := succeeds
	if f.fates != nil {
		fate = f.fates()
	}
	switch fate {
	case refused:
		return fmt.Errorf("%w: no space left on device", sessionstore.ErrAway)
	case conflicts:
		return sessionstore.ErrConflict
	case lostInDoubt:
		return fmt.Errorf("%w: input/output error", sessionstore.ErrInDoubt)
	case killedBefore:
		f.dead = true
		panic(killed{})
	}
	f.commits += len(begun)
	for _, key := range f.forgotten {
		if _, again := f.live[key]; !again {
			delete(f.disk, key)
		}
	}
	f.forgotten = nil
	for _, c := range begun {
		f.disk[c.next.record.Key] = c.next
	}
	switch fate {
	case storedInDoubt:
		return fmt.Errorf("%w: input/output error", sessionstore.ErrInDoubt)
	case killedAfter:
		f.dead = true
		panic(killed{})
	}
	for _, c := range begun {
		f.live[c.next.record.Key] = c.next
	}
	return nil
}

// keep returns what is stored with a record that replaces another one with the replies before.
func keep(before []protocol.Reply, r *sessionstore.Record, revision sessionstore.Revision, remembered int) kept {
	next := kept{record: *r, revision: revision}
	next.record.Memory = slices.Clone(r.Memory)
	for i, state := range next.record.Memory {
		next.record.Memory[i].State = bytes.Clone(state.State)
	}
	next.record.Generations = slices.Clone(r.Generations)
	next.replies = before
	if r.Reply != nil {
		next.replies = append(slices.Clone(before), *r.Reply)
		next.replies = next.replies[max(len(next.replies)-remembered, 0):]
		next.record.Reply = &next.replies[len(next.replies)-1]
	}
	return next
}

func (f *fakeStore) Forget(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.dead {
		delete(f.live, key)
		f.forgotten = append(f.forgotten, key)
	}
}

// reborn returns the store as the next process finds it at the time. What was forgotten last is gone where
// gone says so. Other times than exact ones are those after a reboot.
func (f *fakeStore) reborn(gone func() bool, now time.Time, times sessionstore.Times) *fakeStore {
	next := &fakeStore{fates: f.fates, waits: f.waits, refuses: f.refuses, remembered: f.remembered, last: f.last,
		live: maps.Clone(f.disk), disk: f.disk}
	for _, key := range f.forgotten {
		if _, again := f.live[key]; !again && gone() {
			delete(next.live, key)
		}
	}
	maps.DeleteFunc(next.disk, func(key string, _ kept) bool {
		_, there := next.live[key]
		return !there
	})
	for _, key := range slices.Sorted(maps.Keys(next.live)) {
		k := next.live[key]
		k.times = max(k.times, times)
		next.live[key], next.disk[key] = k, k
		r := sessionstore.Restored{Record: k.record, Replies: k.replies, Revision: k.revision, Times: k.times}
		if k.times == sessionstore.TimesUnknown {
			by := now.Sub(r.Replied)
			r.Replied, r.Began, r.GapFrom = now, r.Began.Add(by), r.GapFrom.Add(by)
		}
		next.found = append(next.found, r)
	}
	return next
}

// keys returns what is stored, for comparisons.
func (f *fakeStore) keys() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.live))
}
