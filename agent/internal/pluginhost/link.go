package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
)

// maxInFlight is how many steps one process may have unanswered, sent or not. Further ones
// wait within their context.
const maxInFlight = 4096

var (
	// errStopped is why a link is lost when nothing is wrong.
	errStopped = errors.New("the plugin is being stopped")
	// errStream is why a link is lost when the plugin's end of it is gone.
	errStream = errors.New("the plugin's stream ended")
)

// A lostError says that the process was lost with the step unanswered. As validators are
// pure, the step may be put to another process.
type lostError struct{ cause error }

func (e *lostError) Error() string { return e.cause.Error() }
func (e *lostError) Unwrap() error { return e.cause }

// A link carries steps to one process and verdicts back. Callers put steps into a queue; one
// goroutine sends what has come together as one message; another receives and wakes the
// callers; a third watches. Once lost, a link is of no more use.
type link struct {
	conn      *grpc.ClientConn
	stream    validatorv1.ValidatorService_JudgeClient
	cancel    context.CancelFunc
	instances int           // verdicts in each answer
	slots     chan struct{} // one token for each step in flight
	wake      chan struct{} // holds one token when the queue is not empty
	lost      chan struct{} // closed when the link is lost
	running   sync.WaitGroup
	waiters   sync.Pool

	mu     sync.Mutex
	queue  []*waiter          // to be sent
	sent   map[uint64]*waiter // to be answered, by the number of the call
	number uint64             // of the last call
	heard  time.Time          // when the last message came
	err    error              // why the link is lost
}

// A waiter is one step in flight. It stays with the link until it is answered, even when its
// caller has gone: only so can a process that does not answer be told from a slow one.
type waiter struct {
	call     *validatorv1.StepCall
	sentAt   time.Time
	deadline time.Time
	answer   chan reply // holds the one answer
}

type reply struct {
	verdicts []*validatorv1.Verdict
	err      error
}

// newLink opens the stream before the context ends. The link itself lasts until it is lost.
func newLink(starting context.Context, conn *grpc.ClientConn, instances int, o Options) (*link, error) {
	ctx, cancel := context.WithCancel(context.Background())
	release := context.AfterFunc(starting, cancel)
	stream, err := validatorv1.NewValidatorServiceClient(conn).Judge(ctx)
	if !release() && err == nil {
		err = context.Cause(starting)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	l := &link{
		conn: conn, stream: stream, cancel: cancel, instances: instances,
		slots: make(chan struct{}, maxInFlight),
		wake:  make(chan struct{}, 1),
		lost:  make(chan struct{}),
		sent:  map[uint64]*waiter{},
		heard: time.Now(),
	}
	l.waiters.New = func() any { return &waiter{answer: make(chan reply, 1)} }
	l.running.Go(l.send)
	l.running.Go(l.receive)
	l.running.Go(func() { l.watch(ctx, o) })
	l.running.Go(func() { discardOutput(ctx, conn) })
	return l, nil
}

// judge puts one step and waits for the verdicts until the context, which has a deadline,
// ends. The call belongs to the link from then on. The error is a *lostError when the link
// was lost.
func (l *link) judge(ctx context.Context, call *validatorv1.StepCall) ([]*validatorv1.Verdict, error) {
	if err := l.slot(ctx); err != nil {
		return nil, err
	}
	w := l.waiters.Get().(*waiter)
	w.call = call
	w.deadline, _ = ctx.Deadline()
	if !l.enqueue(w) {
		return nil, l.loss()
	}
	select {
	case r := <-w.answer:
		l.waiters.Put(w) // answered, so nobody else knows it any more
		return r.verdicts, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// slot waits until there is room for one more step in flight.
func (l *link) slot(ctx context.Context) error {
	select {
	case l.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d steps wait for the plugin: %w", maxInFlight, context.Cause(ctx))
	case <-l.lost:
		return l.loss()
	}
}

func (l *link) enqueue(w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return false
	}
	l.queue = append(l.queue, w)
	if len(l.queue) == 1 {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// loss returns why the link is lost.
func (l *link) loss() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &lostError{l.err}
}

// streamEnded reports whether the link is lost because the plugin's end is gone.
func (l *link) streamEnded() bool { return errors.Is(l.loss(), errStream) }

// lose gives the link up: everybody who waits gets an error. The first cause counts.
func (l *link) lose(cause error) {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = cause
	orphans := l.queue
	for _, w := range l.sent {
		orphans = append(orphans, w)
	}
	l.queue, l.sent = nil, nil
	l.mu.Unlock()

	close(l.lost)
	l.cancel()
	for _, w := range orphans {
		w.answer <- reply{err: &lostError{cause}}
	}
}
