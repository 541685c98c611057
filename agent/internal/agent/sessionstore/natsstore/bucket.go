package natsstore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A bucket is what is known of the bucket.
type bucket struct {
	replicas  int
	bytes     uint64
	allowsTTL bool
	missing   bool // the servers have none
	trouble   string
	warnings  []string
}

// How often the bucket is looked at.
const (
	lookInterval  = 30 * time.Second
	retryInterval = time.Second
)

// watchBucket looks at the bucket until the store is closed.
func (s *Store) watchBucket() {
	for {
		wait := longestPause
		switch {
		case !s.conn.Connected():
		case s.look():
			wait = lookInterval
		default:
			wait = retryInterval
		}
		select {
		case <-time.After(wait):
		case <-s.closing.Done():
			return
		}
	}
}

// look reads the settings of the bucket and reports whether that succeeded.
func (s *Store) look() bool {
	ctx, cancel := context.WithTimeout(s.closing, s.opts.bounds.answer)
	defer cancel()
	var now bucket
	stream, err := s.conn.JS.Stream(ctx, s.stream())
	switch {
	case err == nil:
		info := stream.CachedInfo()
		now = bucket{replicas: info.Config.Replicas, bytes: info.State.Bytes, allowsTTL: info.Config.AllowMsgTTL,
			trouble: s.troubleOf(&info.Config), warnings: s.doubtsOf(&info.Config)}
	case s.isClosed():
		return false
	case errors.Is(err, jetstream.ErrStreamNotFound):
		now.missing = true
		now.trouble = fmt.Sprintf("there is no bucket %s in NATS; create it: stepagent create-bucket", s.opts.Bucket)
	default:
		now.trouble = s.cause(err)
	}
	s.mu.Lock()
	old := s.bucket
	if err != nil {
		now.replicas, now.bytes, now.allowsTTL, now.warnings = old.replicas, old.bytes, old.allowsTTL, old.warnings
	}
	s.bucket = now
	s.mu.Unlock()
	if err == nil {
		s.answered()
		s.askRights()
	}
	if !slices.Equal(old.warnings, now.warnings) {
		for _, what := range now.warnings {
			s.opts.Log.Warn("the bucket of the sessions: " + what)
		}
	}
	if now.trouble != old.trouble && now.trouble != "" {
		s.opts.Log.Warn("sessions cannot be stored", slog.String("error", now.trouble))
	}
	return now.trouble == ""
}

// askRights finds out whether the user has been given the rights that it lacked, by a read and by a commit that
// cannot be stored, as no stream has its sequence: a conflict is the answer to one that is allowed.
func (s *Store) askRights() {
	s.mu.Lock()
	denied := s.denied
	s.mu.Unlock()
	if !denied {
		return
	}
	c := &commit{origin: origin{replaces: math.MaxInt64}, subject: s.subject(hex.EncodeToString(s.writer[:]))}
	if _, err := s.get(s.closing, getRequest{Last: c.subject}); err != nil && !errors.Is(err, errNothing) {
		return
	}
	if _, err := s.sendOnce(s.closing, c); fateOf(err) == conflicts {
		s.succeeded()
	}
}

// troubleOf returns why a bucket cannot be used; empty if it can.
func (s *Store) troubleOf(c *jetstream.StreamConfig) string {
	var wrong []string
	if !c.AllowRollup || c.DenyPurge {
		wrong = append(wrong, "it does not allow that a key is purged")
	}
	if c.Mirror != nil || c.Sealed {
		wrong = append(wrong, "it cannot be written")
	}
	if c.Retention != jetstream.LimitsPolicy || c.NoAck {
		wrong = append(wrong, "its stream is no key-value store")
	}
	if len(wrong) == 0 {
		return ""
	}
	return fmt.Sprintf("the bucket %s is not fit for sessions: %s; name another in session.bucket", s.opts.Bucket, strings.Join(wrong, ", "))
}

// doubtsOf returns what is doubtful about a bucket. An ordinary user cannot read how often the servers
// sync their files.
func (s *Store) doubtsOf(c *jetstream.StreamConfig) (doubts []string) {
	add := func(format string, args ...any) { doubts = append(doubts, fmt.Sprintf(format, args...)) }
	if c.Storage == jetstream.MemoryStorage {
		add("it is in memory: a restart of the servers ends all sessions; create it with file storage")
	}
	if c.Replicas < 2 {
		add("it has one replica: while its server is away no step is judged, and after a power cut of the server " +
			"sessions may be at an earlier step; create it with 3 replicas, or set sync_interval of the server to always")
	}
	if c.PersistMode == jetstream.AsyncPersistMode {
		add("its servers acknowledge before they write; create it with persist mode default")
	}
	if most := c.MaxMsgsPerSubject; most > 0 && most < int64(min(s.opts.RememberedReplies, History)) {
		add("it keeps %d revisions, so that fewer replies are remembered than session.remembered_replies; set its history to %d",
			most, min(s.opts.RememberedReplies, History))
	}
	if c.MaxAge > 0 && c.MaxAge < s.opts.Kept {
		add("it removes a session %v after its last step, and sessions may have none for %v; raise its TTL", c.MaxAge, s.opts.Kept)
	}
	if c.MaxAge == 0 {
		add("it has no TTL, so that sessions of agents that are gone stay for ever; set its TTL to some days")
	}
	if c.Discard != jetstream.DiscardNew && c.MaxBytes > 0 {
		add("it removes sessions when it is full; set its discard policy to new")
	}
	return doubts
}
