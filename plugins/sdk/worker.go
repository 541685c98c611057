package sdk

import (
	"fmt"
	"time"

	"github.com/stepagent/stepagent/plugins/budget"
)

// A worker judges calls. Its memory is used from call to call.
type worker struct {
	port     *port
	call     Call
	answers  []Answer
	contexts *budget.Maker
	names    names
}

func newWorker(p *port) *worker {
	return &worker{port: p, contexts: budget.NewMaker(p.ctx)}
}

// work judges the calls of a turn as their leader; false when the turn is over or the port is.
func (w *worker) work(t *turn) bool {
	p, b := w.port, t.batch
	for n := 1; ; n++ {
		message, ok := b.take()
		if !ok {
			return true
		}
		p.begin(t)
		err := w.judge(message, b.came)
		if leads := p.done(t); err != nil {
			p.stop(err)
			return false
		} else if !leads {
			w.send()
			return false
		}
		if len(t.out) == 0 {
			t.out = append(t.out, make([]byte, FrameHeaderBytes)...)
		}
		t.out = AppendAnswer(t.out, w.call.Number, w.answers)
		if len(t.out) > MaxBatchBytes {
			if err := p.answer(t); err != nil {
				p.stop(err)
				return false
			}
		}
		if n%8 == 0 && time.Since(b.came) > slowBatch {
			p.spread(b)
		}
	}
}

// help judges calls of a batch beside its leader and sends each answer by itself.
func (w *worker) help(b *batch) {
	for {
		message, ok := b.take()
		if !ok {
			return
		}
		if err := w.judge(message, b.came); err != nil {
			w.port.stop(err)
			return
		}
		w.send()
	}
}

func (w *worker) send() {
	frame := AppendAnswer(make([]byte, FrameHeaderBytes, minFrameBuffer), w.call.Number, w.answers)
	if err := w.port.write(frame); err != nil {
		w.port.stop(err)
	}
}

// judge puts one call to every instance, one after the other.
func (w *worker) judge(message []byte, came time.Time) error {
	if err := w.call.read(message, &w.names); err != nil {
		return fmt.Errorf("the agent broke the contract: %w", err)
	}
	ctx := w.contexts.New(came.Add(w.call.Budget), nil)
	defer ctx.Release()
	w.answers = w.answers[:0]
	session := w.call.Session
	for i := range w.port.instances {
		session.State = nil
		if i < len(w.call.States) && len(w.call.States[i]) > 0 {
			session.State = w.call.States[i]
		}
		w.answers = append(w.answers, w.port.instances[i].judge(ctx, session, w.call.Step))
	}
	return nil
}
