package sdk

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
)

// maxConcurrent is how many steps are judged at once. So many slow ones delay nobody; with
// more the plugin reads on only when one of them is done.
const maxConcurrent = 256

// Judge implements the contract. Each step has a goroutine of its own, so that a slow one
// does not delay the others; one more goroutine sends the answers, as many in a message as
// have come together.
func (s *server) Judge(stream validatorv1.ValidatorService_JudgeServer) error {
	s.redirectOutput()
	instances := s.instances.Load()
	if instances == nil {
		return status.Error(codes.FailedPrecondition, "not configured yet")
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()

	out := newOutbox()
	sent := make(chan error, 1)
	go func() {
		sent <- out.run(stream.Send)
		cancel()
	}()
	err := receive(ctx, stream, *instances, out)
	out.close()
	return errors.Join(err, <-sent)
}

// receive judges what comes in until the agent has no more, and returns when all of it is
// judged.
func receive(ctx context.Context, stream validatorv1.ValidatorService_JudgeServer, instances []instance, out *outbox) error {
	var judging sync.WaitGroup
	defer judging.Wait()
	slots := make(chan struct{}, maxConcurrent)
	for {
		batch, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, call := range batch.GetCalls() {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			judging.Go(func() {
				defer func() { <-slots }()
				ctx, cancel := context.WithTimeout(ctx, time.Duration(call.GetBudgetNs()))
				defer cancel()
				out.add(judgeAll(ctx, instances, call))
			})
		}
	}
}

// An outbox collects answers while the last message is being sent.
type outbox struct {
	mu      sync.Mutex
	answers []*validatorv1.StepVerdicts
	closed  bool
	ready   chan struct{} // holds one token when there is something to see
}

func newOutbox() *outbox { return &outbox{ready: make(chan struct{}, 1)} }

func (o *outbox) add(a *validatorv1.StepVerdicts) {
	o.mu.Lock()
	o.answers = append(o.answers, a)
	o.mu.Unlock()
	o.wake()
}

// close lets run return once it has sent everything.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.wake()
}

func (o *outbox) wake() {
	select {
	case o.ready <- struct{}{}:
	default:
	}
}

func (o *outbox) take() (answers []*validatorv1.StepVerdicts, closed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	answers, o.answers = o.answers, nil
	return answers, o.closed
}

// run sends what was added, in batches, until the outbox is closed or send fails.
func (o *outbox) run(send func(*validatorv1.JudgeResponse) error) error {
	for range o.ready {
		answers, closed := o.take()
		for len(answers) > 0 {
			n := batchLen(answers)
			if err := send(&validatorv1.JudgeResponse{Answers: answers[:n]}); err != nil {
				return err
			}
			answers = answers[n:]
		}
		if closed {
			return nil
		}
	}
	return nil
}

// batchLen returns how many of the answers go into one message.
func batchLen(answers []*validatorv1.StepVerdicts) int {
	size := 0
	for i, a := range answers[:min(len(answers), MaxBatchCalls)] {
		if size += answerBytes(a); size > MaxBatchBytes {
			return i + 1
		}
	}
	return min(len(answers), MaxBatchCalls)
}
