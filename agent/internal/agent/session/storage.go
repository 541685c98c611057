package session

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A storage stores sessions, so that they survive the agent's process. The zero storage stores none:
// its methods must then not be called, but for forget.
//
// A session is stored under its id, as a whole, after each step that counts and before the step takes
// effect. A step whose record may be stored or not leaves the session as it was; the next record of the
// session replaces that one.
type storage struct {
	store  sessionstore.Store
	shared sessionstore.Shared // the store, where other agents write it too; nil else
	waits  bool                // Store.Waits
	pool   sync.Pool           // of *record
	judged sync.Pool           // of *uncommitted
}

// A record is a sessionstore.Record with the memory that it takes.
type record struct {
	sessionstore.Record
	reply protocol.Reply
}

// begin begins to store what the slot's session will be after a step, with its reply. A zero Commit is
// one of nothing. The caller holds the turn, and calls wait unless there is an error.
func (st *storage) begin(s *slot, next *session, reply *protocol.Reply, unnamed uint64) (sessionstore.Commit, error) {
	if s.name == "" && reply.End && s.revision == 0 && !s.inDoubt {
		return sessionstore.Commit{}, nil // a session of one step: nothing has to be brought back
	}
	r := st.recordOf(s, next)
	defer st.release(r)
	r.Ended, r.Unnamed = reply.End, unnamed
	if s.name != "" && !reply.Req.IsZero() {
		r.reply = *reply
		r.reply.Session, r.Reply = s.name, &r.reply
	}
	return st.store.Begin(&r.Record, s.revision)
}

// wait waits until what was begun is stored. The caller holds the turn.
func (st *storage) wait(ctx context.Context, s *slot, c sessionstore.Commit) error {
	if c == (sessionstore.Commit{}) {
		return nil
	}
	now, err := st.store.Wait(ctx, c)
	switch {
	case err == nil:
		s.revision, s.inDoubt = now, false
	case errors.Is(err, sessionstore.ErrInDoubt):
		s.inDoubt = true
	}
	return err
}

// commitAgain stores the open session of a named slot as it is, after its last reply was given again: the
// gap counts from then on. That is of use only if another agent goes on before the next step, so that an
// error has no consequence. True says that one has done so. The caller holds the turn.
func (st *storage) commitAgain(ctx context.Context, s *slot) (moved bool) {
	r := st.recordOf(s, &s.session)
	defer st.release(r)
	return st.isMoved(st.commit(ctx, s, &r.Record))
}

// commitEnd stores that the slot's open session ends before its last step; the replies of a named slot are
// kept. The caller holds the turn.
func (st *storage) commitEnd(s *slot) error {
	if s.revision == 0 && !s.inDoubt {
		return nil // nothing is stored of it
	}
	r := st.recordOf(s, &s.session)
	defer st.release(r)
	r.Ended = true
	return st.commit(context.Background(), s, &r.Record)
}

// commit stores a record of the slot.
func (st *storage) commit(ctx context.Context, s *slot, r *sessionstore.Record) error {
	c, err := st.store.Begin(r, s.revision)
	if err != nil {
		return err
	}
	return st.wait(ctx, s, c)
}

// forget removes what is stored of the slot, which has no session or whose session ends. A shared store may know
// a name of which the slot does not. The caller holds Manager.mu.
func (st *storage) forget(s *slot) {
	if s.revision != 0 || s.inDoubt || st.shared != nil && s.name != "" {
		st.store.Forget(s.session.id)
		s.revision, s.inDoubt = 0, false
	}
}

// recordOf returns a session as it is stored. The caller calls release.
func (st *storage) recordOf(s *slot, of *session) *record {
	r, _ := st.pool.Get().(*record)
	if r == nil {
		r = new(record)
	}
	states := r.Memory
	for name, state := range of.memory.All() {
		states = append(states, sessionstore.State{Validator: name, State: state})
	}
	r.Record = sessionstore.Record{
		Key: of.id, Name: s.name, Client: of.client.stored(),
		Steps: of.steps, Position: of.position, Memory: states, Expects: sessionstore.Expectation(of.expects),
		Began: of.began, Latest: of.latest, Replied: of.replied, Interval: of.interval, Req: of.last,
		GapFrom: of.gap.from, GapTo: of.gap.to, GapHeld: of.gap.held,
		Passed: of.tally.passed, Failed: of.tally.failed, Undecided: of.tally.undecided,
		Recent: of.recent, Faulted: of.faulted, Generations: of.generations,
	}
	return r
}

// release returns a record to the pool, without references.
func (st *storage) release(r *record) {
	clear(r.Memory)
	*r = record{Record: sessionstore.Record{Memory: r.Memory[:0]}}
	st.pool.Put(r)
}

// newUncommitted returns an empty uncommitted. The caller calls drop.
func (st *storage) newUncommitted() *uncommitted {
	if u, ok := st.judged.Get().(*uncommitted); ok {
		return u
	}
	return new(uncommitted)
}

// drop returns an uncommitted to the pool, without references.
func (st *storage) drop(u *uncommitted) {
	*u = uncommitted{}
	st.judged.Put(u)
}

// storeEnd stores that the slot's open session ends before its last step, or logs that this failed. True
// says that the session has gone on at another agent. The caller holds the turn.
func (m *Manager) storeEnd(s *slot) (moved bool) {
	err := m.storage.commitEnd(s)
	if m.storage.isMoved(err) {
		return true
	}
	if err != nil {
		m.ends.Log(context.Background(), m.log, slog.LevelWarn, "end of a session not stored",
			slog.String("session", s.session.id), slog.Any("error", err))
	}
	return false
}
