package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
)

// duplicates is how long the server remembers the ids of messages. It saves the database work; that each
// event is stored once does not depend on it.
const duplicates = time.Hour

// Limits are those of a stream. A field that is nil is left as it is, or has its default in a new stream.
type Limits struct {
	// MaxBytes is how much the stream holds; a full one refuses messages, which then wait on the boards.
	MaxBytes *int64
	// MaxAge is how long a message is kept; zero without a limit.
	MaxAge *time.Duration
	// Replicas is how many servers of the cluster have each message: 1, 3 or 5.
	Replicas *int
	// Keep keeps messages that were collected, until they are older than MaxAge. It cannot be changed.
	Keep *bool
}

// DefaultMaxBytes is the size of a stream without Limits.MaxBytes, in bytes.
const DefaultMaxBytes = 1 << 30

// Create creates the stream of a fleet, or gives the one that is there other limits. It waits for NATS
// until ctx ends, and reports whether the stream is new.
func Create(ctx context.Context, conn *natsconn.Conn, name string, l Limits) (created bool, err error) {
	config := jetstream.StreamConfig{
		Name: fleet.Stream(name), Description: "results of the fleet " + name, Subjects: fleet.Subjects(name),
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, Storage: jetstream.FileStorage,
		MaxBytes: DefaultMaxBytes, Replicas: 1, Duplicates: duplicates,
	}
	if l.Keep != nil && *l.Keep {
		config.Retention = jetstream.LimitsPolicy
	}
	why := ""
	for {
		created, err = create(ctx, conn.JS, config, l)
		switch {
		case err == nil, lasts(err):
			return created, err
		case ctx.Err() == nil:
			why = trouble(conn, err)
		}
		select {
		case <-ctx.Done():
			return false, &awayError{cmp.Or(why, conn.Status())}
		case <-time.After(retryWait / 10):
		}
	}
}

// create is one attempt of Create.
func create(ctx context.Context, js jetstream.JetStream, config jetstream.StreamConfig, l Limits) (created bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	stream, err := js.Stream(ctx, config.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		l.apply(&config)
		_, err = js.CreateStream(ctx, config)
		created = err == nil
	case err == nil:
		present := stream.CachedInfo().Config
		if l.Keep != nil && config.Retention != present.Retention {
			return false, &StreamError{fmt.Errorf("NATS cannot change whether the stream %s keeps what was collected; leave out --keep, "+
				"or remove the stream when all of it is collected", config.Name)}
		}
		if l.apply(&present) {
			_, err = js.UpdateStream(ctx, present)
		}
	}
	var refused *jetstream.APIError
	if errors.As(err, &refused) && refused.Code < http.StatusInternalServerError && refused.ErrorCode != noPeers {
		return false, &StreamError{fmt.Errorf("NATS refuses the stream %s: %s", config.Name, plain(err))}
	}
	return created, err
}

// noPeers is the error of a cluster that has too few servers, which it may find when it has just been
// started.
const noPeers jetstream.ErrorCode = 10005

// apply sets the limits in a config, and reports whether there are any.
func (l Limits) apply(config *jetstream.StreamConfig) bool {
	if l.MaxBytes != nil {
		config.MaxBytes = *l.MaxBytes
	}
	if l.MaxAge != nil {
		config.MaxAge = *l.MaxAge
	}
	if l.Replicas != nil {
		config.Replicas = *l.Replicas
	}
	return l.MaxBytes != nil || l.MaxAge != nil || l.Replicas != nil
}
