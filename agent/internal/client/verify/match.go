package verify

import (
	"errors"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/protocol"
)

// An exchange is one request and what answers it.
type exchange struct {
	dialog  *dialog
	index   int // its place in the dialog, from 0
	message message
	request protocol.Request
	// bad is why the message is no request; nil when it is one.
	bad *protocol.Error
	// replies are what answers it, the first one first. Only a fault makes more than one.
	replies []answer
	// judgedAt is when the agent has judged it at the latest.
	judgedAt time.Time

	// What the sessions made of it.
	session  string
	seat     string
	position int
	now      judge.Judgement
	asked    bool // a validator was asked
	replayed bool // it was answered from memory
	ends     bool // it is the session's last step
	// instead is the reply of the sessions, which they may give without asking.
	instead protocol.Reply
	// skipped says that the agent is taken not to have judged it, and hidden are the steps that
	// the agent is taken to have judged before it, which are not in the capture.
	skipped bool
	hidden  []int64
	// expected is the step that had to come.
	expected judge.Expectation
}

// An answer is one reply.
type answer struct {
	message message
	reply   protocol.Reply
}

// match tells which reply of a dialog answers which request. Strays are replies that answer
// nothing.
func (d *dialog) match() []*exchange {
	var all []*exchange
	for _, m := range d.requests {
		if m.cut {
			d.cutRequest = &m
			continue
		}
		e := &exchange{dialog: d, message: m, bad: m.bad}
		if e.bad == nil {
			var err error
			if e.request, err = protocol.DecodeRequest(m.raw); err != nil {
				errors.As(err, &e.bad)
			}
		}
		e.index = len(all)
		all = append(all, e)
	}
	byReq := map[protocol.ReqID]*queue{}
	queued := func(req protocol.ReqID) *queue {
		if byReq[req] == nil {
			byReq[req] = &queue{}
		}
		return byReq[req]
	}
	for _, e := range all {
		if !e.req().IsZero() {
			queued(e.req()).asked = append(queued(e.req()).asked, e)
		}
	}
	inOrder := &queue{asked: all}
	for _, m := range d.replies {
		reply, err := protocol.DecodeReply(m.raw)
		if m.cut || m.bad != nil || err != nil {
			d.garbled = append(d.garbled, m)
			continue
		}
		a := answer{message: m, reply: reply}
		asked := inOrder
		if !reply.Req.IsZero() {
			asked = queued(reply.Req)
		}
		e := answered(asked.window(), a)
		if e != nil && e.another(a) && !d.whole() {
			e = nil // it may answer a request that is missing
		}
		if e != nil {
			e.replies = append(e.replies, a)
		} else {
			d.strays = append(d.strays, a)
		}
	}
	d.exchanges = all
	return all
}

// A queue is requests that wait for a reply.
type queue struct {
	asked []*exchange
	from  int // the first that has none
}

// How many requests are looked at for one reply: before the first that has none, to tell a
// second reply from one that answers nothing, and behind it.
const (
	maxBack  = 128
	maxAhead = 1024
)

// window returns the requests that the next reply may answer.
func (q *queue) window() []*exchange {
	for q.from < len(q.asked) && len(q.asked[q.from].replies) > 0 {
		q.from++
	}
	return q.asked[max(0, q.from-maxBack):min(len(q.asked), q.from+maxAhead)]
}

// before reports whether the agent had received the request when it sent the reply: by what the
// reply's packet acknowledges, whatever the times of the packets.
func (e *exchange) before(a answer) bool {
	if a.message.heard < 0 {
		return !e.message.end.Time.After(a.message.end.Time)
	}
	return e.message.to <= a.message.heard
}

// answered returns, of those that were asked, the request that a reply answers: the
// first without a reply that has its step_id, else the first without a reply. A request that
// the agent had not received by then is not answered by it.
func answered(asked []*exchange, a answer) *exchange {
	var open, same, twice *exchange
	for _, e := range asked {
		if !e.before(a) || same != nil && !same.expired(a) {
			break
		}
		if a.reply.Req.IsZero() && !e.req().IsZero() && e.bad == nil && a.reply.StepID != nil {
			continue // the agent gives back what it was given
		}
		id := e.id()
		named := id != nil && a.reply.StepID != nil && *id == *a.reply.StepID
		switch {
		case len(e.replies) > 0 && named:
			twice = e
		case len(e.replies) > 0:
		case open == nil:
			open = e
			fallthrough
		default:
			// Of several with the same step, it is the one whose client still waits.
			if named && (same == nil || same.expired(a) && !e.expired(a)) {
				same = e
			}
		}
	}
	switch {
	case same != nil:
		return same
	case a.reply.StepID == nil || open != nil && twice == nil:
		return open
	default:
		return twice
	}
}

// another reports whether a reply names another step than the request.
func (e *exchange) another(a answer) bool {
	id := e.id()
	return id != nil && a.reply.StepID != nil && *id != *a.reply.StepID
}

// expired reports whether the request's timeout was over when a reply came.
func (e *exchange) expired(a answer) bool {
	timeout := e.request.Timeout
	return timeout.Declared && !a.message.end.Time.Before(e.message.begin.Time.Add(timeout.Duration))
}

// id and req are what can be read of the request, also of a bad one.

func (e *exchange) id() *int64 {
	if e.bad != nil {
		return e.bad.StepID
	}
	return &e.request.StepID
}

func (e *exchange) req() protocol.ReqID {
	if e.bad != nil {
		return e.bad.Req
	}
	return e.request.Req
}

// reply returns the first reply, nil when there is none.
func (e *exchange) reply() *answer {
	if len(e.replies) == 0 {
		return nil
	}
	return &e.replies[0]
}
