package natsstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
)

const (
	// History is how many revisions of a key a bucket keeps: the most that key-value stores of NATS may.
	History = 64
	// DefaultTTL is how long Create makes a bucket keep a session without a step: longer than
	// session.idle_timeout and session.longest_interval can be.
	DefaultTTL = 8 * 24 * time.Hour
	// LeastTTL is the least that makes sense: the servers remove what is older now and then.
	LeastTTL = time.Minute
)

// CreateOptions are those of a new bucket.
type CreateOptions struct {
	Bucket string
	// Replicas is the number of servers that have the bucket, 1 to 5.
	Replicas int
	// TTL is how long a session is kept without a step; 0 means DefaultTTL.
	TTL time.Duration
	// MaxBytes limits the bucket; 0 for no limit. A full bucket refuses commits.
	MaxBytes int64
}

// Create creates a bucket for the sessions of agents. One that exists with the same settings stays as it is;
// with other settings it is an error.
func Create(ctx context.Context, js jetstream.JetStream, o CreateOptions) error {
	ttl, limit := o.TTL, o.MaxBytes
	if ttl == 0 {
		ttl = DefaultTTL
	}
	if limit == 0 {
		limit = -1
	}
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: streamPrefix + o.Bucket, Description: "sessions of stepagent", Subjects: []string{subjectPrefix + o.Bucket + ".>"},
		Storage: jetstream.FileStorage, Replicas: o.Replicas, MaxMsgsPerSubject: History, MaxAge: ttl, MaxBytes: limit,
		MaxMsgs: -1, MaxConsumers: -1, MaxMsgSize: -1, Discard: jetstream.DiscardNew,
		AllowRollup: true, DenyDelete: true, AllowDirect: true, AllowMsgTTL: true,
	})
	switch {
	case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
		return fmt.Errorf("the bucket %s %w; use it as it is, change it with nats stream edit %s%[1]s, "+
			"or name another in session.bucket", o.Bucket, errOther, streamPrefix)
	case err != nil:
		return fmt.Errorf("the bucket %s cannot be created: %w", o.Bucket, err)
	}
	return nil
}

var errOther = errors.New("exists with other settings")

// CreateWhenConnected is Create for a connection that was begun just now. It tries again while no server
// is connected or the servers have no leader yet, until the context ends. Existed says that there was one with
// these settings.
func CreateWhenConnected(ctx context.Context, conn *natsconn.Conn, o CreateOptions) (existed bool, err error) {
	for {
		if conn.Connected() {
			existed, err = createOnce(ctx, conn, o)
		} else {
			err = fmt.Errorf("the bucket %s cannot be created: %s", o.Bucket, conn.Status())
		}
		if answer := new(jetstream.APIError); err == nil || isDenied(err) || errors.Is(err, errOther) || errors.As(err, &answer) && !isTemporary(answer) {
			return existed, err
		}
		select {
		case <-time.After(longestPause):
		case <-ctx.Done():
			return existed, err
		}
	}
}

// createWait is how long the servers may take to answer an attempt: they do not answer one for which they had
// no leader.
const createWait = 2 * time.Second

// createOnce is one attempt of CreateWhenConnected. A user may have the right to create the bucket alone, and
// is then not told that it existed.
func createOnce(ctx context.Context, conn *natsconn.Conn, o CreateOptions) (existed bool, err error) {
	stream := streamPrefix + o.Bucket
	err = attempt(ctx, conn, "$JS.API.STREAM.INFO."+stream, func(ctx context.Context) error {
		_, err := conn.JS.Stream(ctx, stream)
		return err
	})
	existed = err == nil
	if existed || isDenied(err) || errors.Is(err, jetstream.ErrStreamNotFound) {
		err = attempt(ctx, conn, "$JS.API.STREAM.CREATE."+stream, func(ctx context.Context) error { return Create(ctx, conn.JS, o) })
	}
	switch {
	case isDenied(err):
		err = fmt.Errorf("the bucket %s cannot be created: %w; give the user this right", o.Bucket, err)
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("the bucket %s cannot be created: the servers do not answer; see that most of them run with JetStream", o.Bucket)
	}
	return existed, err
}

// attempt makes a request to a subject.
func attempt(ctx context.Context, conn *natsconn.Conn, subject string, request func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, createWait)
	defer cancel()
	ctx, end := conn.UntilDenied(ctx, subject)
	defer end()
	return deniedOr(ctx, request(ctx))
}

// isTemporary reports whether servers that have just been started answer so.
func isTemporary(e *jetstream.APIError) bool {
	const codeNoSuitablePeers = 10005
	return e.ErrorCode == codeNotAvailable || e.ErrorCode == codeNoSuitablePeers
}
