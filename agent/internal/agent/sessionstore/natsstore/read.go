package natsstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A getRequest asks the stream's leader for one message. Package jetstream asks any replica of a stream
// with AllowDirect, as buckets are, and a replica may not have what was acknowledged.
type getRequest struct {
	// Last is a subject whose last message is asked for; empty for the message with Sequence, or the
	// first from there on of the subject Next.
	Last     string `json:"last_by_subj,omitempty"`
	Sequence uint64 `json:"seq,omitempty"`
	Next     string `json:"next_by_subj,omitempty"`
}

// A message is one of the stream. A marker, which says that its key was removed, has no data.
type message struct {
	Subject  string `json:"subject"`
	Sequence uint64 `json:"seq"`
	Data     []byte `json:"data"`
}

// errNothing says that there is no such message.
var errNothing = errors.New("nothing is stored")

// get makes one attempt to read a message.
func (s *Store) get(ctx context.Context, of getRequest) (*message, error) {
	if !s.conn.Connected() {
		return nil, errNotConnected
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.bounds.answer)
	defer cancel()
	request, err := json.Marshal(of)
	if err != nil {
		return nil, err
	}
	subject := "$JS.API.STREAM.MSG.GET." + s.stream()
	ctx, end := s.conn.UntilDenied(ctx, subject)
	defer end()
	reply, err := s.conn.RequestWithContext(ctx, subject, request)
	if err != nil {
		return nil, deniedOr(ctx, err)
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *message            `json:"message"`
	}
	switch err := json.Unmarshal(reply.Data, &answer); {
	case err != nil:
		return nil, err
	case answer.Error != nil && answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, errNothing
	case answer.Error != nil:
		return nil, answer.Error
	case answer.Message == nil:
		return nil, errNothing
	default:
		return answer.Message, nil
	}
}

// read reads a message; nil for none. The error wraps ErrAway.
func (s *Store) read(ctx context.Context, of getRequest) (*message, error) {
	most := s.bounds().away
	for a := (attempts{began: time.Now()}); ; {
		m, err := s.get(ctx, of)
		if err == nil || errors.Is(err, errNothing) {
			s.answered()
			return m, nil
		}
		s.failed(ctx, &a, err)
		if ended := s.again(ctx, &a, most, err); ended != nil {
			return nil, s.giveUp(&commit{}, refused, ended, err)
		}
	}
}

// Load implements sessionstore.Shared.
func (s *Store) Load(ctx context.Context, key string) (found sessionstore.Restored, was sessionstore.Revision, ok bool, err error) {
	s.mu.Lock()
	s.status.Loads++
	s.mu.Unlock()
	m, err := s.last(ctx, key)
	if err != nil || m == nil {
		return sessionstore.Restored{}, 0, false, err
	}
	if len(m.Data) == 0 {
		return sessionstore.Restored{}, sessionstore.Revision(m.Sequence), false, nil
	}
	last, err := s.decode(key, m)
	if err != nil {
		return sessionstore.Restored{}, 0, false, err
	}
	s.loaded(key, last)
	found = sessionstore.Restored{Record: last.Record, Times: last.times, Revision: sessionstore.Revision(m.Sequence)}
	if found.Replies, err = s.replies(ctx, key, last); err != nil {
		return sessionstore.Restored{}, 0, false, err
	}
	return found, found.Revision, true, nil
}

// A decoded is what a message holds.
type decoded struct {
	origin
	sessionstore.Record
	sequence uint64
	times    sessionstore.Times
}

// decode decodes a message of a key. The error wraps ErrAway, and is logged.
func (s *Store) decode(key string, m *message) (*decoded, error) {
	from, body, err := parse(m.Data)
	d := &decoded{origin: from, sequence: m.Sequence}
	if err == nil {
		d.Record, d.times, err = s.codec.Decode(body)
	}
	switch {
	case errors.Is(err, errNewer):
	case err != nil || d.Key != key || m.Subject != s.subject(key):
		err = fmt.Errorf("%w; remove it: nats kv purge %s %s", errDamaged, s.opts.Bucket, escape(key))
	default:
		return d, nil
	}
	s.unreadable.Log(s.closing, s.opts.Log, slog.LevelWarn, "a session cannot be read", slog.String("session", key), slog.Any("error", err))
	return nil, fmt.Errorf("%w: %w", sessionstore.ErrAway, err)
}

// replies returns the replies of a key, the oldest first. It follows the revisions back from the last one,
// each to the one that it replaced, so that none is missed which the bucket still has.
func (s *Store) replies(ctx context.Context, key string, last *decoded) (replies []protocol.Reply, err error) {
	known := map[protocol.ReqID]bool{}
	for at := last; ; {
		if r := at.Reply; r != nil && !known[r.Req] {
			known[r.Req] = true
			replies = append(replies, *r)
		}
		if at.replaces == 0 || len(replies) >= s.opts.RememberedReplies {
			break
		}
		m, err := s.read(ctx, getRequest{Sequence: at.replaces})
		if err != nil {
			return nil, err
		}
		if m == nil || len(m.Data) == 0 {
			break // it was removed, as the oldest ones are
		}
		if at, err = s.decode(key, m); err != nil {
			return nil, err
		}
	}
	slices.Reverse(replies)
	return replies, nil
}
