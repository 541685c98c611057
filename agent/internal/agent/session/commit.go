package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// An uncommitted is a step that is judged and whose session is being stored.
type uncommitted struct {
	slot      *slot
	req       protocol.Request
	arrived   time.Time
	judgement judge.Judgement
	reply     protocol.Reply
	trace     Trace
	commit    sessionstore.Commit
}

// complete makes the answer of a judgement, given at the time judged. It commits the judgement unless it
// is undecided. False says that the session has moved. The caller holds the turn.
func (c *Conn) complete(ctx context.Context, s *slot, req *protocol.Request, arrived, judged time.Time, j *judge.Judgement) (Answer, bool) {
	m := c.manager
	if j.Outcome == validator.Undecided {
		return c.undecided(ctx, s, req, j, protocol.ValidatorUnavailable), true
	}
	reply, trace := c.verdict(s, req, j)
	if m.storage.store != nil {
		if err := c.commit(ctx, s, req, arrived, judged, j, &reply); err != nil {
			return c.notStored(ctx, s, req, j, err)
		}
		judged = m.clock.Now() // the wait for the store is not the client's
	}
	return c.apply(s, req, arrived, judged, j, &reply, trace), true
}

// verdict returns what the client and the record are told of a judgement that counts.
func (c *Conn) verdict(s *slot, req *protocol.Request, j *judge.Judgement) (protocol.Reply, Trace) {
	now := &s.session
	trace := Trace{Session: now.id, Position: now.position + 1, Generation: j.Generation, Groups: j.Groups}
	reply := c.reply(req, protocol.Reason(j.Reason), j.Detail)
	reply.End = trace.Position >= now.steps
	return reply, trace
}

// commit stores the session as it will be.
func (c *Conn) commit(ctx context.Context, s *slot, req *protocol.Request, arrived, judged time.Time, j *judge.Judgement, reply *protocol.Reply) error {
	m := c.manager
	if m.storage.waits && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", sessionstore.ErrAway, context.Cause(ctx))
	}
	next := s.session.after(j, req, arrived, judged)
	begun, err := m.storage.begin(s, &next, reply, m.unnamed.Load())
	if err != nil {
		return err
	}
	return m.storage.wait(ctx, s, begun)
}

// commitLater begins to store the session as it will be, and leaves the rest to Stored, with the turn.
func (c *Conn) commitLater(s *slot, req *protocol.Request, arrived time.Time, j *judge.Judgement) (Answer, Progress) {
	m := c.manager
	u := m.storage.newUncommitted()
	u.slot, u.req, u.arrived, u.judgement = s, *req, arrived, *j
	u.reply, u.trace = c.verdict(s, &u.req, &u.judgement)
	next := s.session.after(&u.judgement, &u.req, arrived, arrived) // no time has passed
	var err error
	if u.commit, err = m.storage.begin(s, &next, &u.reply, m.unnamed.Load()); err != nil {
		m.storage.drop(u)
		answer, ok := c.notStored(context.Background(), s, req, j, err)
		if !ok {
			return Answer{}, MustWait
		}
		return answer, Answered
	}
	c.uncommitted = u
	return Answer{}, Judged
}

// Stored waits until the session of the step that Try has judged is stored, together with those that
// others have begun to store. It returns the answer, and the request with its arrival.
func (c *Conn) Stored(ctx context.Context) (answer Answer, req protocol.Request, arrived time.Time) {
	answer, req, arrived, ok := c.stored(ctx)
	if !ok {
		answer = c.Do(ctx, req, arrived)
	}
	return answer, req, arrived
}

// stored is Stored without another try; false says that the session has moved.
func (c *Conn) stored(ctx context.Context) (answer Answer, req protocol.Request, arrived time.Time, ok bool) {
	m, u := c.manager, c.uncommitted
	c.uncommitted = nil
	defer func() { // after a panic too
		c.release(u.slot)
		m.storage.drop(u)
	}()
	err := m.storage.wait(ctx, u.slot, u.commit)
	req, arrived = u.req, u.arrived
	judged := arrived
	if m.storage.waits {
		judged = m.clock.Now() // the wait for the store is not the client's
	}
	if err != nil {
		answer, ok = c.notStored(ctx, u.slot, &req, &u.judgement, err)
		return answer, req, arrived, ok
	}
	return c.apply(u.slot, &req, arrived, judged, &u.judgement, &u.reply, u.trace), req, arrived, true
}

// apply puts a judgement in force and returns the answer.
func (c *Conn) apply(s *slot, req *protocol.Request, arrived, judged time.Time, j *judge.Judgement, reply *protocol.Reply, trace Trace) Answer {
	ended := c.manager.apply(s, j, req, arrived, judged, reply)
	c.logStep(trace.Session, trace.Position, req, j, reply.Reason)
	c.manager.logEnd(ended, "")
	return Answer{Reply: *reply, Fault: j.Fault, Trace: trace}
}

// notStored returns the answer to a step that was judged but does not count, as its session cannot be
// stored. False says that it has moved: the slot is removed, and the request needs another.
func (c *Conn) notStored(ctx context.Context, s *slot, req *protocol.Request, j *judge.Judgement, err error) (Answer, bool) {
	if m := c.manager; m.storage.isMoved(err) {
		m.disown(s)
		return Answer{}, false
	}
	answer := c.undecided(ctx, s, req, &judge.Judgement{
		Detail:     err.Error() + "; send the step again later",
		Generation: j.Generation, Groups: j.Groups,
	}, protocol.Busy)
	answer.Unknown = errors.Is(err, sessionstore.ErrInDoubt)
	return answer, true
}
