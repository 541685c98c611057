package pluginhost

import (
	"context"
	"errors"
	"time"

	"github.com/stepagent/stepagent/plugins/budget"
	"github.com/stepagent/stepagent/plugins/sdk"
)

// put adds a step to the data path and to what is to be answered. First says that nobody is
// writing, so that the caller must; ok is false when the link is lost.
func (l *link) put(w *waiter, call *sdk.Call) (first, ok bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.add(w, call, now) {
		return false, false
	}
	first = !l.data.writing
	l.data.writing = true
	return first, true
}

// add adds a step to the data path and to what is to be answered; false when the link is lost.
// The caller holds mu.
func (l *link) add(w *waiter, call *sdk.Call, now time.Time) bool {
	if l.err != nil {
		return false
	}
	l.number++
	call.Number, call.Budget = l.number, max(w.deadline.Sub(now), 1)
	w.sentAt = now
	l.sent[l.number] = w
	l.data.add(call)
	l.expiry.note(w.deadline, now, l.expire)
	return true
}

// Messages without an answer, of which a newer plugin may have some, in a second and at once. A
// flood of them would keep the agent busy with nothing.
const (
	emptyPerSecond = 20
	emptyBurst     = 200
)

// deliver hands out a batch of answers. The error says how it breaks the contract; what comes
// before the mistake counts.
func (l *link) deliver(batch []answered) error {
	if len(batch) == 0 && !l.empty.Allow() {
		return errors.New("it floods the agent with messages that answer nothing")
	}
	waiters := make([]*waiter, len(batch))
	l.mu.Lock()
	now := time.Now()
	l.heard = now
	var broken error
	for i, a := range batch {
		w := l.sent[a.call]
		if w == nil {
			broken = notOpen(a.call)
			break
		}
		delete(l.sent, a.call)
		<-l.slots
		if !w.expired {
			waiters[i] = w
		}
	}
	l.mu.Unlock()
	select {
	case l.answered <- struct{}{}:
	default:
	}
	if l.data != nil {
		l.release() // the plugin has something to do while these are handed out
	}
	for i, w := range waiters {
		if w != nil {
			l.hand(w, reply{answers: batch[i].answers, at: now})
		}
	}
	return broken
}

// errExpired is what a step gets that has waited until its deadline.
var errExpired = errors.New("the deadline has passed")

// late is the error of a step that has waited until the deadline of its context.
func late(ctx context.Context) error {
	if b, ok := ctx.(*budget.Context); ok {
		return b.Late()
	}
	<-ctx.Done() // at this moment, as it has the same deadline
	return context.Cause(ctx)
}

// An expiry is one timer for all steps of a link: set to the deadline that comes first of
// those it was told since it last ran, and to no other until it has run. Guarded by link.mu.
type expiry struct {
	timer *time.Timer
	at    time.Time // zero when it is not set
}

// note has run called at the deadline at the latest.
func (e *expiry) note(deadline, now time.Time, run func()) {
	if !e.at.IsZero() && !deadline.Before(e.at) {
		return
	}
	e.at = deadline
	if e.timer == nil {
		e.timer = time.AfterFunc(deadline.Sub(now), run)
	} else {
		e.timer.Reset(deadline.Sub(now))
	}
}

func (e *expiry) stop() {
	if e.timer != nil {
		e.timer.Stop()
	}
}

// expire tells the callers whose deadline has passed, and sets the timer again.
func (l *link) expire() {
	now := time.Now()
	var over []*waiter
	l.mu.Lock()
	l.expiry.at = time.Time{}
	for _, w := range l.sent {
		switch {
		case w.expired:
		case w.deadline.After(now):
			l.expiry.note(w.deadline, now, l.expire)
		default:
			w.expired = true
			over = append(over, w)
		}
	}
	l.mu.Unlock()
	for _, w := range over {
		l.hand(w, reply{err: errExpired})
	}
}
