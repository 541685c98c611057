package pluginhost

import (
	"fmt"
	"time"

	"google.golang.org/grpc/status"

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
	var (
		response rawResponse
		answers  answerBuffer
	)
	for {
		if err := l.stream.RecvMsg(&response); err != nil {
			// The text may be the plugin's.
			l.lose(fmt.Errorf("%w: %s", errStream, brief(status.Convert(err).Message(), sdk.MaxErrorBytes)))
			return
		}
		if err := l.take(&answers, response.bytes); err != nil {
			l.lose(err)
			return
		}
	}
}
