// Package natsstore keeps named sessions in a key-value bucket of NATS JetStream, which several agents
// share: a session goes on at another agent where the first one is gone.
//
// A record is stored by a compare-and-set on the sequence that its key had. There are no leases: agents
// may judge the same step, one of them commits, and the others are told of the conflict. An agent that
// was paused for any time just loses its next commit.
//
// The bucket is a stream named KV_<bucket>. Its subject $KV.<bucket>.<key> has up to 64 revisions of a
// session: the last is the session, and older ones hold the replies to its earlier steps. Messages have
// no id, because servers compare ids before they compare sequences. All reads ask the stream's leader.
package natsstore

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
)

// Options are those of a Store. All but Kept and Log are needed.
type Options struct {
	// Conn is the connection to NATS, which belongs to the store: Close closes it.
	Conn *natsconn.Conn
	// Bucket is the name of the bucket; see Create.
	Bucket string
	// RememberedReplies is how many replies of one key are read; a bucket has History at most.
	RememberedReplies int
	// Kept is how long a session may have no step. A bucket that removes it earlier is warned of.
	Kept time.Duration
	// Log gets a line when storing begins to fail and when it succeeds again, and what is doubtful
	// about the bucket; nil for none.
	Log *slog.Logger

	bounds bounds // zero for those of the package; tests shorten them
}

// bounds say how long a call waits for the servers.
type bounds struct {
	// answer is how long the answer to one message may take until the message is sent again.
	answer time.Duration
	// away is how long a call goes on while nothing can have been stored: an election of a leader or
	// a reconnection may pass in that time. Where storing has failed for longer, it is tried once.
	away time.Duration
	// doubt is how long a commit goes on that may have been stored.
	doubt time.Duration
	// leave is how long a server may give no answers until another one is tried.
	leave time.Duration
}

var usualBounds = bounds{answer: 2 * time.Second, away: 2 * time.Second, doubt: 10 * time.Second, leave: 4 * time.Second}

// A Store is a sessionstore.Shared in a bucket.
type Store struct {
	opts               Options
	conn               *natsconn.Conn
	codec              *sessionstore.Codec
	writer             writerID         // of this opened store
	number             atomic.Uint64    // of its last commit
	losses, unreadable *logging.Limiter // of lines about sessions

	forgotten chan revision   // to be removed from the bucket
	closing   context.Context // ended by Close
	close     context.CancelFunc
	running   sync.WaitGroup // goroutines of the store

	mu      sync.Mutex // guards the fields below
	keys    map[string]known
	failing time.Time // when the first call failed after the last that succeeded; zero while they succeed
	refused bool      // status.Trouble is a refusal by a server that answers
	denied  bool      // and the user lacks a right
	bucket  bucket
	status  sessionstore.Status
}

// A revision is one revision of a key.
type revision struct {
	key      string
	sequence uint64
}

// Open returns the store in a bucket. It does not wait for the servers: while they cannot be reached, or
// have no such bucket, commits fail and Status says why. An error is one of the system's clock.
func Open(o Options) (*Store, error) {
	codec, err := sessionstore.NewCodec()
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.bounds == (bounds{}) {
		o.bounds = usualBounds
	}
	s := &Store{opts: o, conn: o.Conn, codec: codec, keys: map[string]known{},
		losses: logging.NewLimiter(time.Minute), unreadable: logging.NewLimiter(time.Minute), forgotten: make(chan revision, maxForgotten)}
	s.closing, s.close = context.WithCancel(context.Background())
	_, _ = rand.Read(s.writer[:]) // has no errors
	s.status = sessionstore.Status{Survives: sessionstore.Restart, Bucket: o.Bucket}
	s.running.Go(s.watchBucket)
	s.running.Go(s.removeForgotten)
	return s, nil
}

// Waits implements sessionstore.Store.
func (s *Store) Waits() bool { return true }

// Restored implements sessionstore.Store: sessions are read by Load.
func (s *Store) Restored() []sessionstore.Restored { return nil }

// Close implements sessionstore.Store. Records are as durable as the servers make them at each commit;
// what was forgotten last may stay in the bucket. It may be called again.
func (s *Store) Close() error {
	s.close()
	s.running.Wait()
	s.conn.Close()
	return nil
}

// isClosed reports whether Close was called.
func (s *Store) isClosed() bool { return s.closing.Err() != nil }

// Pauses between attempts of one call.
const (
	firstPause   = time.Millisecond
	longestPause = 100 * time.Millisecond
)

// attempts bounds the attempts of one call.
type attempts struct {
	began time.Time
	pause time.Duration
}

// again waits before the next attempt; last is the error of the one before, nil if it was answered. An error says
// why there must be no other: the context has ended, the store is closed, the next would be denied too, or the
// call has gone on for the time that it may.
func (s *Store) again(ctx context.Context, a *attempts, most time.Duration, last error) error {
	if isDenied(last) || time.Since(a.began) >= most {
		return errTooLong
	}
	a.pause = min(max(2*a.pause, firstPause), longestPause)
	wait := time.NewTimer(a.pause)
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-s.closing.Done():
		return errClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var (
	errTooLong = errors.New("the time for it is over")
	errClosed  = errors.New("the store is closed")
)
