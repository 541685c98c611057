package sdk

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
)

// maxConcurrent is the number of steps judged at the same time. With more, the plugin stops reading
// until one of them is done.
const maxConcurrent = 256

// Judge implements the contract. Workers judge the steps, so that a slow one does not delay others; one
// more goroutine sends the answers in batches.
func (s *server) Judge(stream validatorv1.ValidatorService_JudgeServer) error {
	s.redirectOutput()
	instances := s.instances.Load()
	if instances == nil {
		return status.Error(codes.FailedPrecondition, "not configured yet")
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()

	answers := make(chan *validatorv1.StepVerdicts, MaxBatchCalls)
	sent := make(chan error, 1)
	go func() {
		sent <- sendAnswers(answers, stream.Send)
		cancel()
		for range answers { // no worker may block
		}
	}()
	err := receive(ctx, stream, *instances, answers)
	close(answers)
	return errors.Join(err, <-sent)
}

// receive gives incoming steps to workers until the agent closes the stream, and returns when all are
// judged.
func receive(ctx context.Context, stream validatorv1.ValidatorService_JudgeServer, instances []instance,
	answers chan<- *validatorv1.StepVerdicts) error {
	w := &workers{ctx: ctx, calls: make(chan *validatorv1.StepCall), slots: make(chan struct{}, maxConcurrent),
		judge: func(ctx context.Context, call *validatorv1.StepCall) { answers <- judgeAll(ctx, instances, call) }}
	defer w.wait()
	for {
		batch, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, call := range batch.GetCalls() {
			if err := w.submit(call); err != nil {
				return err
			}
		}
	}
}

// workers judge steps, one at a time each. Their number grows with the number of concurrent steps.
type workers struct {
	ctx     context.Context
	judge   func(context.Context, *validatorv1.StepCall)
	calls   chan *validatorv1.StepCall // to an idle worker
	slots   chan struct{}              // one token for each worker
	running sync.WaitGroup
}

// submit gives a step to an idle worker or a new one. It blocks while maxConcurrent workers are busy.
func (w *workers) submit(call *validatorv1.StepCall) error {
	for range 2 {
		select {
		case w.calls <- call:
			return nil
		default:
			runtime.Gosched() // after this a worker with fast validators is idle
		}
	}
	select {
	case w.slots <- struct{}{}:
		w.running.Go(func() { w.work(call) })
	case w.calls <- call:
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
	return nil
}

// work judges a step and then submitted ones, until wait is called.
func (w *workers) work(call *validatorv1.StepCall) {
	for ok := true; ok; call, ok = <-w.calls {
		ctx, cancel := context.WithTimeout(w.ctx, time.Duration(call.GetBudgetNs()))
		w.judge(ctx, call)
		cancel()
	}
}

// wait returns when all steps are judged. No step may be submitted after it.
func (w *workers) wait() {
	close(w.calls)
	w.running.Wait()
}

// sendAnswers sends the answers in batches until the channel is closed or send fails. It is the only
// receiver of the channel.
func sendAnswers(answers <-chan *validatorv1.StepVerdicts, send func(*validatorv1.JudgeResponse) error) error {
	for first := range answers {
		runtime.Gosched() // workers that are almost done add their answers
		batch, size := []*validatorv1.StepVerdicts{first}, answerBytes(first)
		for len(answers) > 0 && len(batch) < MaxBatchCalls && size <= MaxBatchBytes {
			next := <-answers
			batch, size = append(batch, next), size+answerBytes(next)
		}
		if err := send(&validatorv1.JudgeResponse{Answers: batch}); err != nil {
			return err
		}
	}
	return nil
}
