package pluginhost

import (
	"fmt"
	"time"

	"github.com/stepagent/stepagent/plugins/sdk"
	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
)

// send sends what is in the queue, in batches, until the link is lost.
func (l *link) send() {
	for {
		select {
		case <-l.wake:
		case <-l.lost:
			return
		}
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
	for _, w := range l.queue {
		if len(batch) == sdk.MaxBatchCalls || size > sdk.MaxBatchBytes {
			break
		}
		taken++
		budget := w.deadline.Sub(now)
		if budget <= 0 {
			<-l.slots // its caller has gone
			continue
		}
		l.number++
		w.call.Call, w.call.BudgetNs, w.sentAt = l.number, int64(budget), now
		l.sent[l.number] = w
		batch = append(batch, w.call)
		size += sdk.CallBytes(w.call)
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
			l.lose(fmt.Errorf("%w: %w", errStream, err))
			return
		}
		if err := l.deliver(response.GetAnswers()); err != nil {
			l.lose(fmt.Errorf("the plugin broke the contract: %w", err))
			return
		}
	}
}

func (l *link) deliver(answers []*validatorv1.StepVerdicts) error {
	waiters := make([]*waiter, len(answers))
	l.mu.Lock()
	l.heard = time.Now()
	var broken error
	for i, a := range answers {
		w := l.sent[a.GetCall()]
		if w == nil {
			broken = fmt.Errorf("it answered call %d, which is not open", a.GetCall())
			break
		}
		if n := len(a.GetVerdicts()); n != l.instances {
			broken = fmt.Errorf("it gave %d verdicts for %d validators", n, l.instances)
			break
		}
		delete(l.sent, a.GetCall())
		waiters[i] = w
	}
	l.mu.Unlock()
	for i, w := range waiters {
		if w == nil {
			break
		}
		w.answer <- reply{verdicts: answers[i].GetVerdicts()}
		<-l.slots
	}
	return broken
}
