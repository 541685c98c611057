package collect

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
)

// ErrAway says that NATS was away for too long.
var ErrAway = errors.New("NATS is away")

// An awayError is an ErrAway with its cause.
type awayError struct{ why string }

// Error returns the cause alone.
func (e *awayError) Error() string { return e.why }

// Is reports whether target is ErrAway.
func (e *awayError) Is(target error) bool { return target == ErrAway }

// A StreamError says why a stream cannot be collected or created as it is.
type StreamError struct{ err error }

// Error returns the sentence.
func (e *StreamError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *StreamError) Unwrap() error { return e.err }

// A storeError is an error of the database that lasts.
type storeError struct{ error }

func (e *storeError) Unwrap() error { return e.error }

// lasts reports whether no waiting mends an error. All others may pass: NATS is away, or its servers
// elect a leader.
func lasts(err error) bool {
	var stream *StreamError
	var store *storeError
	return errors.As(err, &stream) || errors.As(err, &store)
}

// trouble says what an error of NATS means.
func trouble(conn *natsconn.Conn, err error) string {
	switch {
	case !conn.Connected():
		return conn.Status()
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return "the NATS server keeps no streams now; see whether it is starting, and whether JetStream is on in its config and for this account"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return fmt.Sprintf("NATS has not answered within %v; it is %s", requestWait, conn.Status())
	}
	return "NATS refuses a request: " + plain(err)
}

// plain returns the text of an error without the codes of the protocol.
func plain(err error) string {
	var refused *jetstream.APIError
	if errors.As(err, &refused) && refused.Description != "" {
		return refused.Description
	}
	return strings.TrimPrefix(err.Error(), "nats: ")
}
