package stream

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"google.golang.org/grpc/status"

	"github.com/stepagent/stepagent/plugins/sdk"
	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
)

// The limit of messages without an answer, which a newer plugin may send. A flood of them would keep
// the agent busy.
const (
	emptyPerSecond = 20
	emptyBurst     = 200
)

// send sends what is in the queue, in batches, until the stream is lost.
func (s *Stream) send() {
	for {
		select {
		case <-s.wake:
		case <-s.lost:
			return
		}
		runtime.Gosched() // callers that are about to enqueue a step do so first
		for batch := s.nextBatch(); len(batch) > 0; batch = s.nextBatch() {
			if err := s.judge.Send(&validatorv1.JudgeRequest{Calls: batch}); err != nil {
				return // receive gets the cause
			}
		}
	}
}

// nextBatch moves calls from the queue to those that are sent.
func (s *Stream) nextBatch() []*validatorv1.StepCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch := make([]*validatorv1.StepCall, 0, min(len(s.queue), sdk.MaxBatchCalls))
	now, size, taken := time.Now(), 0, 0
	for _, c := range s.queue {
		if len(batch) == sdk.MaxBatchCalls || size > sdk.MaxBatchBytes {
			break
		}
		taken++
		budget := c.deadline.Sub(now)
		if budget <= 0 {
			<-s.slots // its caller has returned
			continue
		}
		s.number++
		c.message.Call, c.message.BudgetNs, c.sentAt = s.number, int64(budget), now
		s.sent[s.number] = c
		batch = append(batch, c.message)
		size += sdk.CallBytes(c.message)
	}
	if s.queue = s.queue[taken:]; len(s.queue) == 0 {
		s.queue = nil
	}
	return batch
}

// receive completes calls until the stream ends or breaks the contract.
func (s *Stream) receive() {
	for {
		response, err := s.judge.Recv()
		if err != nil {
			// The text may be the plugin's.
			s.Lose(fmt.Errorf("%w: %s", ErrEnded, Shorten(status.Convert(err).Message(), sdk.MaxErrorBytes)))
			return
		}
		if err := s.complete(response.GetAnswers()); err != nil {
			s.Lose(fmt.Errorf("the plugin broke the contract: %w", err))
			return
		}
	}
}

// complete hands a batch of answers to the callers. The error says how it breaks the contract; the
// answers before the mistake count.
func (s *Stream) complete(batch []*validatorv1.StepVerdicts) error {
	if len(batch) == 0 && !s.empty.Allow() {
		return errors.New("it floods the agent with messages that answer nothing")
	}
	calls, err := s.removeAnswered(batch)
	for i, c := range calls {
		c.reply <- reply{verdicts: batch[i].GetVerdicts()}
	}
	return err
}

// removeAnswered removes the calls that a batch answers from those in flight, and returns them.
func (s *Stream) removeAnswered(batch []*validatorv1.StepVerdicts) ([]*call, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = time.Now()
	calls := make([]*call, 0, min(len(batch), len(s.sent)))
	for _, a := range batch {
		c := s.sent[a.GetCall()]
		if c == nil {
			return calls, fmt.Errorf("it answered call %d, which is not open", a.GetCall())
		}
		if n := len(a.GetVerdicts()); n != s.options.Instances {
			return calls, fmt.Errorf("it gave %d verdicts for %d validators", n, s.options.Instances)
		}
		delete(s.sent, a.GetCall())
		<-s.slots
		calls = append(calls, c)
	}
	return calls, nil
}
