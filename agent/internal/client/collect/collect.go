// Package collect takes the results of a fleet from NATS and stores them in a database, each event once.
//
// It reads with a durable consumer and acknowledges a message when the transaction with its events is
// committed. What is delivered again after a crash between the two is found in the database.
package collect

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
)

const (
	// batchMessages is how many messages one transaction stores at most. Each has about 64 KiB.
	batchMessages = 128
	// ackWait is after how long NATS delivers a message again that was not acknowledged.
	ackWait = 30 * time.Second
	// maxAckPending is how many messages may be delivered without an acknowledgement, to all processes
	// that share a consumer.
	maxAckPending = 8 * batchMessages
	// idleWait is the longest time between two reports while nothing comes.
	idleWait = time.Second
	// retryWait is the time between two attempts after a failure.
	retryWait = 500 * time.Millisecond
	// requestWait bounds each request to NATS.
	requestWait = 5 * time.Second
)

// A Store stores messages, as database.DB does.
type Store interface {
	StoreMessages(ctx context.Context, messages []database.Message) (database.Stored, error)
}

// Options say what is collected.
type Options struct {
	// Conn is the connection to NATS, which may come later, and Store the database.
	Conn  *natsconn.Conn
	Store Store
	// Fleet is the name of the fleet, Consumer that of the durable consumer. Processes with the same
	// consumer share the messages.
	Fleet, Consumer string
	// Once ends the work when everything is stored that is in the stream.
	Once bool
	// Patience is how long NATS may be away with Once.
	Patience time.Duration
	// Log receives what goes wrong with single messages; Tell is called after each batch, and about
	// every second while nothing comes. Both are used by the goroutine of Run alone.
	Log  *slog.Logger
	Tell func(Progress)
}

// Progress says what was done, and what is left.
type Progress struct {
	// Messages were stored, with Events new events. Known messages had been stored before.
	Messages, Known, Events int64
	// Rejected messages were put aside.
	Rejected int64
	// Behind is how many messages of the stream are not acknowledged, and Lag how old the oldest of
	// them is at least, by the clock of the server.
	Behind uint64
	Lag    time.Duration
	// Trouble says why nothing is being collected; empty while all is well.
	Trouble string
}

// Run collects until ctx ends, or Once is done; neither is an error. A *StreamError and errors of the
// database are those that no waiting mends; errors.Is(err, ErrAway) says that NATS was away for longer
// than Once permits. Otherwise Run tries again while NATS or the database is away.
func Run(ctx context.Context, o Options) (Progress, error) {
	c := &collector{Options: o}
	err := c.run(ctx)
	if ctx.Err() != nil {
		err = nil
	}
	return c.progress, err
}

// A collector collects. It is used by one goroutine.
type collector struct {
	Options
	consumer jetstream.Consumer // nil until it is found
	progress Progress
	stored   time.Time // when the server stored the newest message that is in the database
	since    time.Time // since when NATS is away; zero while it is not
}

// run collects until there is nothing left to do, or an error that stays.
func (c *collector) run(ctx context.Context) error {
	for ctx.Err() == nil {
		done, err := c.turn(ctx)
		if err == nil {
			c.since, c.progress.Trouble = time.Time{}, ""
			c.Tell(c.progress)
			if done {
				return nil
			}
			continue
		}
		if lasts(err) {
			return err
		}
		c.consumer = nil // it may be gone, as with the server of a single replica
		if err := c.wait(ctx, trouble(c.Conn, err)); err != nil {
			return err
		}
	}
	return nil
}

// wait waits after what may pass.
func (c *collector) wait(ctx context.Context, why string) error {
	if c.since.IsZero() {
		c.since = time.Now()
	}
	if c.Once && time.Since(c.since) >= c.Patience {
		return &awayError{why}
	}
	c.progress.Trouble = why
	c.Tell(c.progress)
	select {
	case <-ctx.Done():
	case <-time.After(retryWait):
	}
	return nil
}

// turn stores one batch. done says that Once is done.
func (c *collector) turn(ctx context.Context) (done bool, err error) {
	if c.consumer == nil {
		if c.consumer, err = c.open(ctx); err != nil {
			return false, err
		}
	}
	batch, err := c.fetch(ctx)
	if len(batch) > 0 {
		// What was delivered is stored also if the rest was not.
		if err := c.keep(ctx, batch); err != nil {
			return false, err
		}
	}
	if err != nil {
		return false, err
	}
	info, err := c.look(ctx)
	if err != nil {
		return false, err
	}
	return c.Once && info.NumPending == 0 && info.NumAckPending == 0, nil
}

// look asks how much is left.
func (c *collector) look(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	info, err := c.consumer.Info(ctx)
	if err != nil {
		return nil, err
	}
	c.progress.Behind, c.progress.Lag = info.NumPending+uint64(max(info.NumAckPending, 0)), 0
	if c.progress.Behind > 0 && !c.stored.IsZero() {
		c.progress.Lag = max(info.TimeStamp.Sub(c.stored), 0)
	}
	return info, nil
}
