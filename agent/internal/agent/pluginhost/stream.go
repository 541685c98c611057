package pluginhost

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"google.golang.org/grpc/status"

	"github.com/stepagent/stepagent/plugins/sdk"
	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
)

// Messages without an answer, of which a newer plugin may have some, in a second and at once. A
// flood of them would keep the agent busy with nothing.
const (
	emptyPerSecond = 20
	emptyBurst     = 200
)

// send sends what is in the queue, in batches, until the link is lost.
func (l *link) send() {
	for {
		select {
		case <-l.wake:
		case <-l.lost:
			return
		}
		runtime.Gosched() // callers that are about to put a step do so first
		for batch := l.next(); len(batch) > 0; batch = l.next() {
			if err := l.stream.Send(&validatorv1.JudgeRequest{Calls: batch}); err != nil {
				// The receiver learns the cause.
				return
			}
		}
	}
}

// next moves a batch from the queue to what is sent.
func (l *link) next() []*validatorv1.StepCall {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch := make([]*validatorv1.StepCall, 0, min(len(l.queue), sdk.MaxBatchCalls))
	now, size, taken := time.Now(), 0, 0
	for _, c := range l.queue {
		if len(batch) == sdk.MaxBatchCalls || size > sdk.MaxBatchBytes {
			break
		}
		taken++
		budget := c.deadline.Sub(now)
		if budget <= 0 {
			<-l.slots // its caller has gone
			continue
		}
		l.number++
		c.message.Call, c.message.BudgetNs, c.sentAt = l.number, int64(budget), now
		l.sent[l.number] = c
		batch = append(batch, c.message)
		size += sdk.CallBytes(c.message)
	}
	if l.queue = l.queue[taken:]; len(l.queue) == 0 {
		l.queue = nil
	}
	return batch
}

// receive hands out answers until the stream ends or breaks the contract.
func (l *link) receive() {
	for {
		response, err := l.stream.Recv()
		if err != nil {
			// The text may be the plugin's.
			l.lose(fmt.Errorf("%w: %s", errStream, brief(status.Convert(err).Message(), sdk.MaxErrorBytes)))
			return
		}
		if err := l.deliver(response.GetAnswers()); err != nil {
			l.lose(fmt.Errorf("the plugin broke the contract: %w", err))
			return
		}
	}
}

// deliver hands out a batch of answers. The error says how it breaks the contract; what comes
// before the mistake counts.
func (l *link) deliver(batch []*validatorv1.StepVerdicts) error {
	if len(batch) == 0 && !l.empty.Allow() {
		return errors.New("it floods the agent with messages that answer nothing")
	}
	calls, err := l.answered(batch)
	for i, c := range calls {
		c.reply <- reply{verdicts: batch[i].GetVerdicts()}
	}
	return err
}

// answered returns the calls that a batch answers, which are no longer in flight.
func (l *link) answered(batch []*validatorv1.StepVerdicts) ([]*call, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = time.Now()
	calls := make([]*call, 0, min(len(batch), len(l.sent)))
	for _, a := range batch {
		c := l.sent[a.GetCall()]
		if c == nil {
			return calls, fmt.Errorf("it answered call %d, which is not open", a.GetCall())
		}
		if n := len(a.GetVerdicts()); n != l.instances {
			return calls, fmt.Errorf("it gave %d verdicts for %d validators", n, l.instances)
		}
		delete(l.sent, a.GetCall())
		<-l.slots
		calls = append(calls, c)
	}
	return calls, nil
}
