package pluginhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/sdk"
	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
	"github.com/stepagent/stepagent/plugins/validator"
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

// A link carries steps to one process and verdicts back, in batches over one gRPC stream.
// Callers put steps into a queue and wait; one goroutine sends what has come together, one
// receives and wakes the callers, and one watches. Once lost, a link is of no more use.
type link struct {
	conn      *grpc.ClientConn
	stream    validatorv1.ValidatorService_JudgeClient
	cancel    context.CancelFunc
	reads     validator.Inputs // what is sent
	instances int              // verdicts in each answer
	slots     chan struct{}    // one token for each step in flight
	wake      chan struct{}    // holds one token when the queue is not empty
	lost      chan struct{}    // closed when the link is lost
	empty     *rate.Limiter    // messages without an answer
	running   sync.WaitGroup

	// mu guards what follows.
	mu     sync.Mutex
	queue  []*call          // to be sent
	sent   map[uint64]*call // to be answered, by the number of the call
	number uint64           // of the last call
	heard  time.Time        // when the last message came
	err    error            // why the link is lost
}

// A call is one step in flight. It stays with the link until it is answered, even when its
// caller has gone: only so can a process that does not answer be told from a slow one.
type call struct {
	message  *validatorv1.StepCall
	enqueued time.Time
	deadline time.Time
	sentAt   time.Time  // guarded by link.mu until the reply has come
	reply    chan reply // holds the one reply
}

type reply struct {
	verdicts []*validatorv1.Verdict
	err      error
}

// newLink opens the stream before the context starting ends. instances is the number of validators
// in the process, reads what they are sent. The link itself lasts until it is lost.
func newLink(starting context.Context, conn *grpc.ClientConn, instances int, reads validator.Inputs, o Options) (*link, error) {
	l := newIdleLink(conn, instances, reads)
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	release := context.AfterFunc(starting, cancel)
	stream, err := validatorv1.NewValidatorServiceClient(conn).Judge(ctx)
	if !release() && err == nil {
		err = context.Cause(starting)
	}
	if err != nil {
		cancel()
		return nil, serviceError("Judge", err)
	}
	l.stream = stream
	l.running.Go(l.send)
	l.running.Go(l.receive)
	l.running.Go(func() { l.watch(ctx, o) })
	l.running.Go(func() { discardOutput(ctx, conn) })
	return l, nil
}

func newIdleLink(conn *grpc.ClientConn, instances int, reads validator.Inputs) *link {
	return &link{
		conn: conn, instances: instances, reads: reads,
		slots: make(chan struct{}, maxInFlight),
		wake:  make(chan struct{}, 1),
		lost:  make(chan struct{}),
		empty: rate.NewLimiter(emptyPerSecond, emptyBurst),
		sent:  map[uint64]*call{},
		heard: time.Now(),
	}
}

// judge puts one step and waits for the answers until the context, which has a deadline,
// ends. The error is a *lostError when the link was lost.
func (l *link) judge(ctx context.Context, step judge.Call) ([]judge.Answer, error) {
	began := time.Now()
	if err := l.slot(ctx); err != nil {
		return nil, err
	}
	c := &call{message: encodeCall(l.reads, step), enqueued: began, reply: make(chan reply, 1)}
	c.deadline, _ = ctx.Deadline()
	// The message may be read after this call has returned at the end of its context.
	c.message.Step.Data = bytes.Clone(c.message.Step.Data)
	if !l.enqueue(c) {
		return nil, l.loss()
	}
	select {
	case r := <-c.reply:
		return c.answers(r)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// encodeCall returns a step as it goes to a process whose validators are sent reads.
func encodeCall(reads validator.Inputs, step judge.Call) *validatorv1.StepCall {
	session, masked := reads.Mask(step.Session, step.Step)
	return sdk.EncodeCall(session, step.States, masked)
}

// answers returns what a reply to the call says.
func (c *call) answers(r reply) ([]judge.Answer, error) {
	if r.err != nil {
		return nil, r.err
	}
	answers := make([]judge.Answer, len(r.verdicts))
	for i, v := range r.verdicts {
		a := sdk.DecodeAnswer(v)
		answers[i] = judge.Answer{Verdict: a.Verdict, Err: a.Err, Queued: c.sentAt.Sub(c.enqueued),
			Expects: judge.Expectation{StepID: a.Expects, Known: a.Known}}
	}
	return answers, nil
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

func (l *link) enqueue(c *call) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return false
	}
	l.queue = append(l.queue, c)
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

// lose gives the link up: every caller that waits gets an error. The first cause counts.
func (l *link) lose(cause error) {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = cause
	unanswered := l.queue
	for _, c := range l.sent {
		unanswered = append(unanswered, c)
	}
	l.queue, l.sent = nil, nil
	l.mu.Unlock()

	close(l.lost)
	l.cancel()
	for _, c := range unanswered {
		c.reply <- reply{err: &lostError{cause}}
	}
}
