package collect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/client/database"
)

// keep stores a batch and then acknowledges it. While the database is away it tries again.
func (c *collector) keep(ctx context.Context, batch []jetstream.Msg) error {
	messages, newest, err := messagesOf(batch)
	if err != nil {
		return err
	}
	var stored database.Stored
	for {
		if stored, err = c.Store.StoreMessages(ctx, messages); err == nil {
			break
		}
		if ctx.Err() != nil || c.Once || !errors.Is(err, database.ErrAway) {
			c.giveBack(batch)
			return &storeError{err}
		}
		if err := c.wait(ctx, err.Error()); err != nil {
			return err
		}
	}
	rejected := map[int]string{}
	for _, r := range stored.Rejected {
		rejected[r.Index] = r.Problem.Error()
		c.Log.Warn("a message cannot be read; it is put aside in the table agent_rejects", slog.String("subject", batch[r.Index].Subject()),
			slog.Uint64("sequence", messages[r.Index].Sequence), slog.String("problem", r.Problem.Error()))
	}
	p := &c.progress
	p.Messages, p.Known, p.Events = p.Messages+stored.Messages, p.Known+stored.Known, p.Events+stored.Events
	p.Rejected += int64(len(stored.Rejected))
	if newest.After(c.stored) {
		c.stored = newest
	}
	return c.acknowledge(ctx, batch, rejected)
}

// messagesOf returns the messages for the database, and when the newest was stored by the server.
func messagesOf(batch []jetstream.Msg) (messages []database.Message, newest time.Time, err error) {
	for _, m := range batch {
		meta, err := m.Metadata()
		if err != nil {
			return nil, newest, fmt.Errorf("a message that was delivered says not where it is in the stream: %w", err)
		}
		messages = append(messages, database.Message{ID: m.Headers().Get(jetstream.MsgIDHeader), Subject: m.Subject(),
			Sequence: meta.Sequence.Stream, Published: meta.Timestamp, Body: m.Data()})
		if meta.Timestamp.After(newest) {
			newest = meta.Timestamp
		}
	}
	return messages, newest, nil
}

// acknowledge acknowledges the messages, and returns when the server has them. An acknowledgement that
// is lost has the message delivered again, which is then known.
func (c *collector) acknowledge(ctx context.Context, batch []jetstream.Msg, rejected map[int]string) error {
	var failed error
	for i, m := range batch {
		end := m.Ack
		if why, ok := rejected[i]; ok {
			end = func() error { return m.TermWithReason(why) }
		}
		failed = errors.Join(failed, end())
	}
	if failed != nil {
		return fmt.Errorf("the messages are stored, and cannot be acknowledged: %w", failed)
	}
	ctx, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	return c.Conn.FlushWithContext(ctx)
}

// giveBack has the messages delivered again at once, to any process with this consumer. Those that it
// does not reach are delivered again after ackWait.
func (c *collector) giveBack(batch []jetstream.Msg) {
	for _, m := range batch {
		if m.Nak() != nil {
			return
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestWait)
	defer cancel()
	_ = c.Conn.FlushWithContext(ctx) // see above
}
