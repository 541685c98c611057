package collect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
)

// taken are the codes of the error that a stream whose messages leave when they are collected has a
// consumer already: errors 10099 and 10100 of the NATS server.
var taken = []jetstream.ErrorCode{10099, 10100}

// open returns the consumer, which is created if it is missing.
func (c *collector) open(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	name := fleet.Stream(c.Fleet)
	stream, err := c.Conn.JS.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, &StreamError{fmt.Errorf("there is no stream %s in NATS; create it with stepctl collect --create", name)}
	}
	if err != nil {
		return nil, err
	}
	consumer, err := stream.Consumer(ctx, c.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: c.Consumer, Description: "stepctl collect", AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: ackWait, MaxAckPending: maxAckPending,
		})
	}
	var refused *jetstream.APIError
	if errors.As(err, &refused) && (refused.ErrorCode == taken[0] || refused.ErrorCode == taken[1]) {
		return nil, &StreamError{fmt.Errorf("the stream %s is collected by another consumer, and each message leaves it when it is collected; "+
			"give its name with --consumer, or create the stream with --keep", name)}
	}
	return consumer, err
}

// fetch returns what is in the stream now, or else waits a moment for something to come.
func (c *collector) fetch(ctx context.Context) ([]jetstream.Msg, error) {
	batch, err := receive(c.consumer.FetchNoWait(batchMessages))
	if err != nil || len(batch) > 0 || c.Once {
		if c.Once && err == nil && len(batch) == 0 {
			select { // messages that were delivered to a process that has ended come again after ackWait
			case <-ctx.Done():
			case <-time.After(retryWait / 10):
			}
		}
		return batch, err
	}
	ctx, cancel := context.WithTimeout(ctx, idleWait)
	defer cancel()
	batch, err = receive(c.consumer.Fetch(1, jetstream.FetchContext(ctx)))
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) {
		err = nil
	}
	return batch, err
}

// receive waits for the messages of a request.
func receive(request jetstream.MessageBatch, err error) ([]jetstream.Msg, error) {
	if err != nil {
		return nil, err
	}
	var batch []jetstream.Msg
	for m := range request.Messages() {
		batch = append(batch, m)
	}
	return batch, request.Error()
}
