package outbox

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
)

// fill reads the record and publishes what it has, as far as the window has room. Nothing is read while
// the connection is away or messages are refused, so that what waits, waits on the disk.
func (b *Outbox) fill() {
	b.behind = false
	if b.failures > 0 || !b.options.Conn.Connected() {
		return
	}
	limit := messageBytes
	if most := int(b.options.Conn.MaxPayload()) - headerBytes; most > 0 {
		limit = min(limit, most)
	}
	for b.failures == 0 {
		m := b.read(limit)
		if m == nil {
			return
		}
		b.publish(m)
	}
}

// read takes the next message of the record into the window; nil if there is no room or nothing new.
func (b *Outbox) read(limit int) *message {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.window) >= windowMessages || b.bytes >= windowBytes {
		b.behind = true
		return nil
	}
	m, err := b.tail.next(limit)
	if err != nil {
		b.troubled(fmt.Errorf("the record cannot be read: %w", err))
		return nil
	}
	if m != nil {
		b.window = append(b.window, m)
		b.bytes += len(m.lines)
	}
	return m
}

// headerBytes is more than the headers of a message take, which count towards the largest payload.
const headerBytes = 512

// publish sends a message. A failure is told by its future, or noted as one at once.
func (b *Outbox) publish(m *message) {
	o := b.options
	sent, err := b.js.PublishMsgAsync(&nats.Msg{
		Subject: fleet.Subject(o.Fleet, o.Board, m.kind),
		Header:  nats.Header{jetstream.MsgIDHeader: []string{m.id(o.Board)}},
		Data:    m.lines,
	}, jetstream.WithRetryAttempts(0))
	if err != nil {
		b.refused(m, err)
		return
	}
	m.sent = sent
}

// acknowledged moves the cursor past the first message.
func (b *Outbox) acknowledged(ack *jetstream.PubAck) {
	b.mu.Lock()
	m := b.pop()
	b.cursor.position = m.end()
	b.cursor.Published += m.events
	b.status.Messages++
	if ack.Duplicate {
		b.status.Duplicates++
	}
	again := b.status.Error != ""
	b.status.Error, b.status.Since = "", time.Time{}
	b.mu.Unlock()
	if again {
		b.options.Log.Info("results are published again")
	}
	if b.failures > 0 && !b.closing {
		b.failures = 0
		b.resend()
		b.fill()
	}
}

// pop takes the first message out of the window.
func (b *Outbox) pop() *message {
	m := b.window[0]
	b.window = slices.Delete(b.window, 0, 1)
	b.bytes -= len(m.lines)
	return m
}

// refused notes that a message has failed, and those whose failure is known.
func (b *Outbox) refused(m *message, err error) {
	if errors.Is(err, jetstream.ErrAsyncPublishTimeout) {
		b.options.Conn.Leave(ackTimeout) // the server may have lost the others of its cluster
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	m.sent = nil
	for _, other := range b.window {
		other.forget()
	}
	if isTooLarge(err) && m == b.window[0] { // another becomes the first one
		b.divide()
		return
	}
	delay := min(longestRetry, shortestRetry<<min(b.failures, 10))
	b.failures++
	b.retryAt = time.Now().Add(delay)
	if b.options.Conn.Connected() && !errors.Is(err, nats.ErrDisconnected) {
		b.troubled(explain(err, b.options))
	}
}

// forget makes a message that is known to have failed one that is to be sent.
func (m *message) forget() {
	if m.sent == nil {
		return
	}
	select {
	case err := <-m.sent.Err():
		if err != nil {
			m.sent = nil
		}
	default:
	}
}

// divide replaces the first message, which is too large for the server, by its halves. A single line is
// dropped. The caller holds b.mu.
func (b *Outbox) divide() {
	m := b.pop()
	if halves := m.divide(); halves != nil {
		b.window = slices.Insert(b.window, 0, halves...)
		b.bytes += len(m.lines)
		b.failures, b.retryAt = 1, time.Now()
		return
	}
	b.cursor.position = m.end()
	b.drop(m.events, fmt.Sprintf("a line of %d bytes is larger than the stream or the server takes", len(m.lines)))
}

// resend sends what has failed again: the first message alone until it is acknowledged, then all. What the
// record has removed meanwhile is dropped.
func (b *Outbox) resend() {
	b.dropGone()
	if !b.options.Conn.Connected() || time.Now().Before(b.retryAt) {
		return
	}
	b.mu.Lock()
	var failed []*message
	for i, m := range b.window {
		if i > 0 { // run waits for the first one
			m.forget()
		}
		if m.sent == nil {
			failed = append(failed, m)
		}
		if b.failures > 0 {
			break
		}
	}
	if len(b.window) == 0 {
		b.failures = 0
	}
	b.mu.Unlock()
	for _, m := range failed {
		b.publish(m)
	}
}

// dropGone drops the messages that have failed and whose file is removed: they would stay in memory.
func (b *Outbox) dropGone() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.window) > 0 && b.gone != "" {
		m := b.window[0]
		if m.sent != nil || auditlog.CompareFiles(m.file.name, b.gone) > 0 {
			return
		}
		b.pop()
		b.cursor.position = m.end()
		b.drop(m.events, causeRemoved)
	}
}

// drop counts events that are never sent. The caller holds b.mu.
func (b *Outbox) drop(events uint64, cause string) {
	if events == 0 {
		return
	}
	first := b.status.Gap == "" || time.Since(b.status.GapTime) > gapLogged
	b.cursor.Dropped += events
	b.status.Gap, b.status.GapTime = cause, time.Now()
	if first {
		b.options.Log.Warn("events of the record are dropped, NATS does not get them", slog.Uint64("events", events), slog.String("cause", cause))
	}
}

// gapLogged is the least time between two log lines about dropped events.
const gapLogged = time.Minute

// troubled notes why nothing is published. The caller holds b.mu.
func (b *Outbox) troubled(err error) {
	first := b.status.Error == ""
	b.status.Error = err.Error()
	if first {
		b.status.Since = time.Now()
		b.options.Log.Warn("results are not published; they wait in the record", slog.Any("error", err))
	}
}

// storeFailed is the code of an error that nats.go does not name: JSStreamStoreFailedF in errors.json of
// nats-server. The description of a full stream begins with fullStream.
const (
	storeFailed = 10077
	fullStream  = "maximum "
)

func isTooLarge(err error) bool {
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum)
}

// explain returns why a message was not stored, and what to do.
func explain(err error, o Options) error {
	var refusal *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("no stream takes the results of the fleet %s; run stepctl collect --create", o.Fleet)
	case errors.Is(err, jetstream.ErrAsyncPublishTimeout):
		return fmt.Errorf("no acknowledgement within %v, %s", ackTimeout, o.Conn.Status())
	case errors.As(err, &refusal) && refusal.ErrorCode == storeFailed && strings.HasPrefix(refusal.Description, fullStream):
		return fmt.Errorf("the stream is full (%s); run stepctl collect, or give the stream more room", refusal.Description)
	case errors.As(err, &refusal):
		return fmt.Errorf("the stream refuses them: %s (%d)", refusal.Description, refusal.ErrorCode)
	default:
		return err
	}
}
