package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/sdk"
	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
	"github.com/stepagent/stepagent/plugins/validator"
)

// maxInFlight is how many steps one process may have unanswered, sent or not. Further ones wait within
// their context.
const maxInFlight = 16384

var (
	// ErrStopped is why a stream is lost when its process is stopped on purpose.
	ErrStopped = errors.New("the plugin is being stopped")
	// ErrEnded is why a stream is lost when the plugin ends it, mostly as its process ends.
	ErrEnded = errors.New("the plugin's stream ended")
)

// A LostError says that the stream was lost with the step unanswered. As validators are pure, the step
// may be sent to another process.
type LostError struct{ cause error }

func (e *LostError) Error() string { return e.cause.Error() }
func (e *LostError) Unwrap() error { return e.cause }

// Options are what a Stream needs to know.
type Options struct {
	// Instances is the number of validators in the process: of verdicts in each answer.
	Instances int
	// Reads are the inputs that the validators are sent.
	Reads validator.Inputs
	// PingInterval is how often an idle process is pinged, PingTimeout how long it may take to answer.
	// A process that keeps a step waiting is pinged without waiting for the interval.
	PingInterval, PingTimeout time.Duration
}

// A Stream carries steps to one process and verdicts back. Callers put steps into a queue and wait;
// one goroutine sends what is in the queue as one batch, one receives and completes the calls, and one
// watches whether the process hangs. Once lost, a stream is of no more use.
type Stream struct {
	conn    *Conn
	options Options
	judge   validatorv1.ValidatorService_JudgeClient
	cancel  context.CancelFunc
	slots   chan struct{} // one token for each step in flight
	wake    chan struct{} // holds one token when the queue is not empty
	lost    chan struct{} // closed when the stream is lost
	empty   *rate.Limiter // messages without an answer
	running sync.WaitGroup

	mu sync.Mutex // guards state
	state
}

// state is what changes while a Stream is used.
type state struct {
	queue  []*call          // to be sent
	sent   map[uint64]*call // to be answered, by the number of the call
	number uint64           // of the last call
	heard  time.Time        // when the last message came
	err    error            // why the stream is lost
}

// A call is one step in flight. It stays with the stream until it is answered, even when its caller
// has returned: otherwise a process that hangs could not be told from a slow one.
type call struct {
	message  *validatorv1.StepCall
	enqueued time.Time
	deadline time.Time
	sentAt   time.Time  // guarded by Stream.mu until the reply has come
	reply    chan reply // holds the one reply
}

type reply struct {
	verdicts []*validatorv1.Verdict
	err      error
}

// Open opens the stream before the context starting ends. The stream itself lasts until it is lost.
func (c *Conn) Open(starting context.Context, o Options) (*Stream, error) {
	ctx, cancel := context.WithCancel(context.Background())
	release := context.AfterFunc(starting, cancel)
	judge, err := c.client.Judge(ctx)
	if !release() && err == nil {
		err = context.Cause(starting)
	}
	if err != nil {
		cancel()
		return nil, callError("Judge", err)
	}
	s := &Stream{
		conn: c, options: o, judge: judge, cancel: cancel,
		slots: make(chan struct{}, maxInFlight),
		wake:  make(chan struct{}, 1),
		lost:  make(chan struct{}),
		empty: rate.NewLimiter(emptyPerSecond, emptyBurst),
		state: state{sent: map[uint64]*call{}, heard: time.Now()},
	}
	s.running.Go(s.send)
	s.running.Go(s.receive)
	s.running.Go(func() { s.watch(ctx) })
	s.running.Go(func() { c.discardOutput(ctx) })
	s.running.Go(func() {
		select {
		case <-c.meter.flooded:
			s.Lose(errFlooded)
		case <-s.lost:
		}
	})
	return s, nil
}

// Judge sends one step and waits for the answers until the context, which has a deadline, ends. The
// error is a *LostError when the stream was lost.
func (s *Stream) Judge(ctx context.Context, step judge.Call) ([]judge.Answer, error) {
	began := time.Now()
	if err := s.acquireSlot(ctx); err != nil {
		return nil, err
	}
	c := &call{message: encodeCall(s.options.Reads, step), enqueued: began, reply: make(chan reply, 1)}
	c.deadline, _ = ctx.Deadline()
	// The message may be read after this call has returned at the end of its context.
	c.message.Step.Data = bytes.Clone(c.message.Step.Data)
	if !s.enqueue(c) {
		return nil, s.Err()
	}
	select {
	case r := <-c.reply:
		return c.answers(r)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// encodeCall returns the message for a step, with the inputs that are read.
func encodeCall(reads validator.Inputs, step judge.Call) *validatorv1.StepCall {
	session, masked := reads.Mask(step.Session, step.Step)
	return sdk.EncodeCall(session, step.States, masked)
}

// answers decodes the reply to the call.
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

// acquireSlot waits until there is room for one more step in flight.
func (s *Stream) acquireSlot(ctx context.Context) error {
	select {
	case s.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d steps wait for the plugin: %w", maxInFlight, context.Cause(ctx))
	case <-s.lost:
		return s.Err()
	}
}

// enqueue puts a call into the queue. It reports false when the stream is lost.
func (s *Stream) enqueue(c *call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return false
	}
	s.queue = append(s.queue, c)
	if len(s.queue) == 1 {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// Lost is closed when the stream is lost.
func (s *Stream) Lost() <-chan struct{} { return s.lost }

// Err returns why the stream is lost, as a *LostError.
func (s *Stream) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &LostError{s.err}
}

// Lose gives the stream up: every call in flight fails with the cause. Only the first call counts.
func (s *Stream) Lose(cause error) {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	s.err = cause
	unanswered := s.queue
	for _, c := range s.sent {
		unanswered = append(unanswered, c)
	}
	s.queue, s.sent = nil, nil
	s.mu.Unlock()

	close(s.lost)
	s.cancel()
	for _, c := range unanswered {
		c.reply <- reply{err: &LostError{cause}}
	}
}

// Wait returns when the goroutines of a stream that is lost have ended. The connection must be closed.
func (s *Stream) Wait() { s.running.Wait() }
