package natsstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
)

// A commit is one that has begun.
type commit struct {
	origin
	key     string
	subject string
	value   []byte
	inDoubt bool // an attempt may have stored it, or may still
}

// maxValueBytes limits a value. Servers accept messages of 1 MiB, with their subject and headers.
const maxValueBytes = 1<<20 - 8<<10

// Begin implements sessionstore.Store: it encodes the record, and Wait sends it. Each commit that has
// begun must be waited for.
func (s *Store) Begin(r *sessionstore.Record, was sessionstore.Revision) (sessionstore.Commit, error) {
	if r.Name == "" {
		return sessionstore.Commit{Revision: was}, nil
	}
	if s.isClosed() {
		return sessionstore.Commit{}, fmt.Errorf("%w: %w", sessionstore.ErrAway, errClosed)
	}
	c := &commit{
		origin: origin{writer: s.writer, number: s.number.Add(1), replaces: uint64(was)},
		key:    r.Key, subject: s.subject(r.Key),
	}
	c.value = s.codec.Append(appendHeader(make([]byte, 0, 512), &c.origin), r)
	seal(c.value)
	if size := len(c.value) + len(c.subject); size > maxValueBytes {
		return sessionstore.Commit{}, fmt.Errorf("%w: it takes %d bytes, and at most %d can be stored; let the validators keep less of it",
			sessionstore.ErrAway, size, maxValueBytes)
	}
	return sessionstore.Commit{Of: c}, nil
}

// Wait implements sessionstore.Store. It sends the record until a server has told what became of it: the
// compare-and-set stores it once at most. While nothing can have been stored it gives up after some
// seconds with ErrAway; otherwise it goes on for longer, and then the error is ErrInDoubt. The revision is
// that of this record even if another agent has stored one since.
func (s *Store) Wait(ctx context.Context, begun sessionstore.Commit) (sessionstore.Revision, error) {
	c, ok := begun.Of.(*commit)
	if !ok {
		return begun.Revision, nil
	}
	at, err := s.send(ctx, c)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.stored(c.key, at)
		s.status.Commits++
		s.status.LastCommit = time.Now()
	case errors.Is(err, sessionstore.ErrConflict):
		s.lost(c.key)
		s.status.Conflicts++
	}
	return sessionstore.Revision(at), err
}

// send sends a commit until its fate is known or the time for it is over. It returns the sequence at which
// it is stored.
func (s *Store) send(ctx context.Context, c *commit) (at uint64, err error) {
	if ctx.Err() != nil {
		return 0, fmt.Errorf("%w: %w", sessionstore.ErrAway, context.Cause(ctx))
	}
	most := s.bounds()
	for a := (attempts{began: time.Now()}); ; {
		at, err := s.sendOnce(ctx, c)
		fate := fateOf(err)
		if fate == conflicts && c.inDoubt {
			at, fate, err = s.settle(ctx, c)
		}
		switch fate {
		case inProcess:
			s.leave(a.began, err)
		case stored:
			s.succeeded()
			return at, nil
		case conflicts:
			s.answered()
			return 0, sessionstore.ErrConflict
		case unknown:
			c.inDoubt = true
			s.failed(ctx, &a, err)
		case refused:
			s.failed(ctx, &a, err)
		}
		if errors.Is(err, errOvertaken) {
			return 0, fmt.Errorf("%w: %w", sessionstore.ErrInDoubt, err)
		}
		bound := most.away
		if c.inDoubt {
			bound = most.doubt
		}
		if ended := s.again(ctx, &a, bound, err); ended != nil {
			return 0, s.giveUp(c, fate, ended, err)
		}
		s.mu.Lock()
		s.status.Resent++
		s.mu.Unlock()
	}
}

// sendOnce sends a commit and waits for the answer.
func (s *Store) sendOnce(ctx context.Context, c *commit) (at uint64, err error) {
	if !s.conn.Connected() {
		return 0, errNotConnected
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.bounds.answer)
	defer cancel()
	ctx, end := s.conn.UntilDenied(ctx, c.subject)
	defer end()
	ack, err := s.conn.JS.PublishMsg(ctx, &nats.Msg{Subject: c.subject, Data: c.value},
		jetstream.WithExpectLastSequencePerSubject(c.replaces), jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, deniedOr(ctx, err)
	}
	return ack.Sequence, nil
}

// settle finds out whether an earlier attempt has stored a commit whose last attempt met a conflict: then
// the first message behind the one that it replaces is its own.
func (s *Store) settle(ctx context.Context, c *commit) (at uint64, fate fate, err error) {
	m, err := s.get(ctx, getRequest{Sequence: c.replaces + 1, Next: c.subject})
	switch {
	case errors.Is(err, errNothing): // what the leader knows is older; or all has expired
		return 0, inProcess, errNothing
	case err != nil:
		return 0, unknown, err
	}
	o, _, err := parse(m.Data)
	switch {
	case err != nil && !errors.Is(err, errNewer): // a marker of a removal, or damaged
	case o.writer == c.writer && o.number == c.number:
		return m.Sequence, stored, nil
	case o.replaces == c.replaces:
		return 0, conflicts, nil // and it can never be stored any more
	}
	return 0, unknown, errOvertaken
}

// errOvertaken says that later revisions have displaced what tells whether a commit was stored.
var errOvertaken = errors.New("the session has gone on at another agent since")

// giveUp returns the error of a commit whose time is over: ended says why; fate and last are what its last
// attempt has come to.
func (s *Store) giveUp(c *commit, fate fate, ended, last error) error {
	cause := s.cause(last)
	switch {
	case !errors.Is(ended, errTooLong):
		cause = ended.Error()
	case fate == unknown || fate == refused:
		s.report(cause, last)
	}
	if c.inDoubt {
		return fmt.Errorf("%w: %s", sessionstore.ErrInDoubt, cause)
	}
	return fmt.Errorf("%w: %s", sessionstore.ErrAway, cause)
}
