package natsstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
)

func (r revision) number() string { return strconv.FormatUint(r.sequence, 10) }

// Status implements sessionstore.Store. Sessions is the number of those whose last step this agent has
// stored, and Bytes the size of the bucket when it was last looked at.
func (s *Store) Status() sessionstore.Status {
	connected := s.conn.Connected()
	s.mu.Lock()
	defer s.mu.Unlock()
	status := s.status
	status.Server = s.conn.Status()
	for _, k := range s.keys {
		if k.mine {
			status.Sessions++
		}
	}
	status.Bytes, status.Replicas, status.Warnings = int64(s.bucket.bytes), s.bucket.replicas, s.bucket.warnings
	switch {
	case s.isClosed():
	case !connected:
		status.Trouble = status.Server
	case s.bucket.trouble != "":
		status.Trouble = s.bucket.trouble
	}
	return status
}

// bounds returns how long a call may take: a single attempt where storing has failed for long.
func (s *Store) bounds() bounds {
	b := s.opts.bounds
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.failing.IsZero() {
		b.away = max(b.away-time.Since(s.failing), 0)
	}
	return b
}

// failed notes that an attempt of a call has failed, unless the caller has ended it.
func (s *Store) failed(ctx context.Context, a *attempts, err error) {
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	if s.failing.IsZero() {
		s.failing = time.Now()
	}
	since := s.failing
	s.mu.Unlock()
	if a.began.Before(since) {
		since = a.began
	}
	s.leave(since, err)
}

// leave leaves the server for another one if a call, or all calls, have failed for a while as at a server that
// has lost the others of its cluster. The error is that of the last attempt.
func (s *Store) leave(since time.Time, err error) {
	s.mu.Lock()
	mayHelp := !s.bucket.missing && isAlone(err)
	s.mu.Unlock()
	if leave := s.opts.bounds.leave; mayHelp && time.Since(since) >= leave {
		s.conn.Leave(leave)
	}
}

// succeeded notes that a record was stored.
func (s *Store) succeeded() {
	s.mu.Lock()
	s.failing = time.Time{}
	wasTrouble := s.status.Trouble != ""
	s.status.Trouble, s.refused, s.denied = "", false, false
	s.mu.Unlock()
	if wasTrouble {
		s.opts.Log.Info("sessions are stored again")
	}
}

// answered notes that the bucket's leader answers: what it has refused, it may still refuse.
func (s *Store) answered() {
	s.mu.Lock()
	refused := s.refused
	s.mu.Unlock()
	if !refused {
		s.succeeded()
	}
}

// report makes the status tell why a call was given up, whose last attempt has failed with the error.
func (s *Store) report(cause string, last error) {
	s.mu.Lock()
	isNew := s.status.Trouble == ""
	s.status.Trouble, s.refused, s.denied = cause, isAnswer(last), isDenied(last)
	s.mu.Unlock()
	if isNew {
		s.opts.Log.Warn("sessions cannot be stored", slog.String("error", cause))
	}
}

// cause returns why an attempt has failed, and what to do.
func (s *Store) cause(err error) string {
	var answer *jetstream.APIError
	isFull := errors.As(err, &answer) && (answer.ErrorCode == codeStoreFailed || answer.ErrorCode == codeServerFull ||
		answer.ErrorCode == codeAccountFull)
	switch {
	case !s.conn.Connected():
		return s.conn.Status()
	case isDenied(err):
		return fmt.Sprintf("NATS refuses the user of the bucket %s a right: %v; give the user this right", s.opts.Bucket, err)
	case isFull:
		return fmt.Sprintf("NATS cannot store more in the bucket %s: %s; free space on its servers, or raise the limit of the bucket",
			s.opts.Bucket, answer.Description)
	case errors.Is(err, errNothing), answer != nil && answer.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return "another update of the session is in process"
	case answer != nil:
		return fmt.Sprintf("NATS refuses to store it in the bucket %s: %s; look at the log of its servers", s.opts.Bucket, answer.Description)
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return fmt.Sprintf("no NATS server answers for the bucket %s: it does not exist, or most of its servers are away; "+
			"start them, or create it: stepagent create-bucket", s.opts.Bucket)
	default:
		return fmt.Sprintf("NATS does not answer for the bucket %s (%s); look at its servers and the network", s.opts.Bucket, s.conn.Status())
	}
}
