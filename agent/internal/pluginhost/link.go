package pluginhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"

	"github.com/stepagent/stepagent/agent/internal/judge"
	"github.com/stepagent/stepagent/plugins/budget"
	"github.com/stepagent/stepagent/plugins/sdk"
	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
)

// maxInFlight is how many steps one process may have unanswered, sent or not. Further ones
// wait within their context.
const maxInFlight = 16384

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

// A link carries steps to one process and verdicts back, in batches: over the plugin's data
// path where it has one, else over a gRPC stream. Over the stream callers put steps into a
// queue and one goroutine sends what has come together; over the data path they do so
// themselves. One goroutine receives and wakes the callers, and one watches. Once lost, a link
// is of no more use.
type link struct {
	conn      *grpc.ClientConn
	stream    validatorv1.ValidatorService_JudgeClient // nil with a data path
	data      *dataPath                                // nil with a stream
	logger    *slog.Logger
	cancel    context.CancelFunc
	instances int           // verdicts in each answer
	slots     chan struct{} // one token for each step in flight
	wake      chan struct{} // holds one token when the queue is not empty
	lost      chan struct{} // closed when the link is lost
	answered  chan struct{} // holds one token when answers have come
	empty     *rate.Limiter // messages without an answer
	running   sync.WaitGroup
	waiters   sync.Pool

	mu     sync.Mutex
	queue  []*waiter          // to be sent
	sent   map[uint64]*waiter // to be answered, by the number of the call
	number uint64             // of the last call
	heard  time.Time          // when the last message came
	err    error              // why the link is lost
	expiry expiry             // of steps on the data path
	parent parent             // of those for which nobody waits
}

// A waiter is one step in flight. It stays with the link until it is answered, even when its
// caller has gone: only so can a process that does not answer be told from a slow one.
type waiter struct {
	call     *validatorv1.StepCall // of a stream
	enqueued time.Time             // of a stream
	sentAt   time.Time
	deadline time.Time
	expired  bool       // its caller has been told so
	answer   chan reply // holds the one answer
	started  started    // for which nobody waits; its group is nil for a caller who does
}

// hand gives the waiter what it waits for. Nobody else may know it any more.
func (l *link) hand(w *waiter, r reply) {
	if w.started.group == nil {
		r.answers = slices.Clone(r.answers) // good until this returns
		w.answer <- r
		return
	}
	w.started.finish(r)
	if r.err == nil {
		w.started = started{}
		l.waiters.Put(w)
	}
}

type reply struct {
	answers []judge.Answer
	at      time.Time // when they came
	err     error
}

// newLink opens the data path, or the stream, before the context ends. Sockets are in dir.
// The link itself lasts until it is lost.
func newLink(starting context.Context, conn *grpc.ClientConn, dir string, instances int, o Options) (*link, error) {
	l := newIdleLink(conn, instances)
	l.logger = o.Logger
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	if err := l.open(starting, ctx, dir, o); err != nil {
		cancel()
		return nil, err
	}
	if l.data != nil {
		l.running.Go(l.receiveData)
	} else {
		l.running.Go(l.send)
		l.running.Go(l.receive)
	}
	l.running.Go(func() { l.watch(ctx, o) })
	l.running.Go(func() { discardOutput(ctx, conn) })
	return l, nil
}

// open makes the data path or, where the plugin has none, the stream, which lasts for the
// context ctx.
func (l *link) open(starting, ctx context.Context, dir string, o Options) error {
	if !o.streamOnly {
		conn, err := dialDataPath(starting, l.conn, dir)
		if err != nil {
			return err
		}
		if conn != nil {
			l.data, err = newDataPath(conn)
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	release := context.AfterFunc(starting, cancel)
	stream, err := validatorv1.NewValidatorServiceClient(l.conn).Judge(ctx)
	if !release() && err == nil {
		err = context.Cause(starting)
	}
	if err != nil {
		cancel()
		return serviceError("Judge", err)
	}
	l.stream = stream
	return nil
}

func newIdleLink(conn *grpc.ClientConn, instances int) *link {
	l := &link{
		conn: conn, instances: instances,
		slots:    make(chan struct{}, maxInFlight),
		wake:     make(chan struct{}, 1),
		lost:     make(chan struct{}),
		answered: make(chan struct{}, 1),
		empty:    rate.NewLimiter(emptyPerSecond, emptyBurst),
		sent:     map[uint64]*waiter{},
		heard:    time.Now(),
	}
	l.waiters.New = func() any { return &waiter{answer: make(chan reply, 1)} }
	return l
}

// judge puts one step and waits for the answers until the context, which has a deadline,
// ends. The error is a *lostError when the link was lost.
func (l *link) judge(ctx context.Context, call judge.Call) ([]judge.Answer, error) {
	waited, err := l.slot(ctx)
	if err != nil {
		return nil, err
	}
	w := l.waiters.Get().(*waiter)
	w.deadline, _ = ctx.Deadline()
	answers, err := l.ask(ctx, w, call)
	for i := range answers {
		answers[i].Queued += waited
	}
	return answers, err
}

// ask puts one step, for which there is room, and waits for the answers.
func (l *link) ask(ctx context.Context, w *waiter, call judge.Call) ([]judge.Answer, error) {
	if l.data != nil {
		return l.judgeData(ctx, w, call)
	}
	// The message may be read after this call has returned at the end of its context.
	call.Step.Data = bytes.Clone(call.Step.Data)
	w.call = sdk.EncodeCall(call.Session, call.States, call.Step)
	w.enqueued = time.Now()
	if !l.enqueue(w) {
		return nil, l.loss()
	}
	return l.await(ctx, ctx, w)
}

// judgeData puts one step on the data path.
func (l *link) judgeData(ctx context.Context, w *waiter, call judge.Call) ([]judge.Answer, error) {
	first, ok := l.put(w, &sdk.Call{Session: call.Session, States: call.States, Step: call.Step})
	if !ok {
		return nil, l.loss()
	}
	if first {
		// Whoever else is about to put a step does so now, and all of them go at once.
		runtime.Gosched()
		l.flush(false)
	}
	if b, ok := ctx.(*budget.Context); ok {
		// The link keeps the deadline, so that no timer is set for each step.
		return l.await(ctx, b.Parent(), w)
	}
	return l.await(ctx, ctx, w)
}

// await waits for the answer to a step of ctx, until a context ends that is ctx or its parent.
func (l *link) await(ctx, until context.Context, w *waiter) ([]judge.Answer, error) {
	select {
	case r := <-w.answer:
		if errors.Is(r.err, errExpired) {
			return nil, late(ctx)
		}
		if w.call != nil { // it went through the queue of a stream
			for i := range r.answers {
				r.answers[i].Queued = w.sentAt.Sub(w.enqueued)
			}
		}
		l.waiters.Put(w) // answered, so nobody else knows it any more
		return r.answers, r.err
	case <-until.Done():
		return nil, context.Cause(until) // that of ctx may take a moment longer to be there
	}
}

// slot waits until there is room for one more step in flight, and says how long that took.
func (l *link) slot(ctx context.Context) (waited time.Duration, err error) {
	select {
	case l.slots <- struct{}{}:
		return 0, nil
	default:
	}
	began := time.Now()
	select {
	case l.slots <- struct{}{}:
		return time.Since(began), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("%d steps wait for the plugin: %w", maxInFlight, context.Cause(ctx))
	case <-l.lost:
		return 0, l.loss()
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
		if !w.expired {
			orphans = append(orphans, w)
		}
	}
	l.queue, l.sent = nil, nil
	l.parent.forget()
	l.mu.Unlock()

	close(l.lost)
	l.cancel()
	l.expiry.stop()
	if l.data != nil {
		_ = l.data.conn.Close() // nothing on it counts any more
	}
	for _, w := range orphans {
		l.hand(w, reply{err: &lostError{cause}})
	}
}
