// Package outbox publishes the agent's own record to a stream of NATS. It follows the files that package
// auditwriter writes, so that neither judging nor the record waits for a network, and nothing is stored
// twice on the board.
//
// Every line of the record is sent until the stream has it. A cursor in the folder of the record says up to
// where that is so; it survives the agent. The id of a message is its place in the record: what is sent
// again, after a loss of the connection or of the agent, has the same id where it is the same message. After
// a crash messages may begin and end elsewhere, so that a line comes in two of them; it is still one line,
// which readers tell by its place.
//
// What the record removes to stay within its bound, before it was sent, is counted as dropped.
package outbox

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
)

const (
	// pollInterval is how often the record is looked at while it has nothing new, and so the time in
	// which lines are gathered into one message.
	pollInterval = 200 * time.Millisecond
	// messageBytes is the size to which lines are gathered.
	messageBytes = 64 << 10
	// windowMessages and windowBytes bound what is sent and not acknowledged.
	windowMessages = 256
	windowBytes    = 4 << 20
	// ackTimeout is how long an acknowledgement may take.
	ackTimeout = 10 * time.Second
	// shortestRetry is the delay after the first refusal of a message, which each further one doubles up
	// to longestRetry.
	shortestRetry = 200 * time.Millisecond
	longestRetry  = 5 * time.Second
	// closeTimeout bounds how long Close waits for acknowledgements.
	closeTimeout = 2 * time.Second
)

// Options say what is published and where. All are needed.
type Options struct {
	// Dir is the folder of the record.
	Dir string
	// Fleet and Board name the subjects, see package fleet.
	Fleet, Board string
	// Conn is the connection, which the caller closes after the outbox.
	Conn *natsconn.Conn
	Log  *slog.Logger
}

// An Outbox publishes a record. Its methods are safe for concurrent use.
type Outbox struct {
	options Options
	js      jetstream.JetStream
	stop    context.CancelFunc
	done    chan struct{} // closed when run has returned; nil before Start

	// Of the goroutine of run.
	failures int       // refusals in a row of the first message
	retryAt  time.Time // when the first message is sent again
	behind   bool      // there may be more to read
	closing  bool      // nothing more is sent

	mu         sync.Mutex // guards the fields below; held while files are read, never while NATS is waited for
	tail       *tail
	window     []*message // sent or about to be, in the order of the record
	bytes      int        // of them
	cursor     cursor
	written    cursor    // what the file has
	unwritable bool      // the file could not be written the last time
	saved      time.Time // when the file was written
	synced     time.Time // when it was synced
	gone       string    // the last file that was removed before it was sent; empty for none
	status     Status
}

// Open reads the cursor. Nothing is published before Start; Removing counts at once. The folder need not
// exist yet.
func Open(o Options) (*Outbox, error) {
	js, err := jetstream.New(o.Conn.Conn, jetstream.WithPublishAsyncTimeout(ackTimeout), jetstream.WithPublishAsyncMaxPending(2*windowMessages))
	if err != nil {
		return nil, err
	}
	b := &Outbox{options: o, js: js}
	b.cursor, err = readCursor(o.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		o.Log.Warn("the cursor of the results cannot be read; the whole record is sent again", slog.Any("error", err))
	}
	b.written, b.synced = b.cursor, time.Now()
	b.tail = newTail(o.Dir, b.cursor.position)
	return b, nil
}

// Start begins to publish. It must be called once, and Close after it.
func (b *Outbox) Start() {
	ctx, stop := context.WithCancel(context.Background())
	b.stop, b.done = stop, make(chan struct{})
	go func() {
		defer close(b.done)
		b.run(ctx)
	}()
}

// Close stops publishing, waits two seconds for what is sent to be acknowledged, and writes the cursor. On
// an Outbox that was not started it does nothing.
func (b *Outbox) Close() {
	if b.done == nil {
		return
	}
	b.stop()
	select {
	case <-b.done:
	case <-time.After(2 * closeTimeout): // a call of nats.go waits for the network, and ends when the caller closes the connection
	}
}

// run publishes until the context ends.
func (b *Outbox) run(ctx context.Context) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	b.fill()
	for ctx.Err() == nil {
		var acked <-chan *jetstream.PubAck
		var failed <-chan error
		first := b.first()
		if first != nil && first.sent != nil {
			acked, failed = first.sent.Ok(), first.sent.Err()
		}
		select {
		case <-ctx.Done():
		case ack := <-acked:
			b.acknowledged(ack)
			if b.behind {
				b.fill()
			}
		case err := <-failed:
			b.refused(first, err)
		case <-ticker.C:
			b.resend()
			b.fill()
			b.save(false)
		}
	}
	b.fill() // the last lines of an agent that stops
	b.closing = true
	b.drain()
	b.save(true)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tail.close()
}

// drain waits for the acknowledgement of what is sent.
func (b *Outbox) drain() {
	timeout := time.NewTimer(closeTimeout)
	defer timeout.Stop()
	for first := b.first(); first != nil && first.sent != nil; first = b.first() {
		select {
		case ack := <-first.sent.Ok():
			b.acknowledged(ack)
		case err := <-first.sent.Err():
			b.refused(first, err) // another agent sends it again
			return
		case <-timeout.C:
			return
		}
	}
}

// first returns the first message of the window; nil for none.
func (b *Outbox) first() *message {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.window) == 0 {
		return nil
	}
	return b.window[0]
}
