package verify

import (
	"errors"
	"time"

	"github.com/stepagent/stepagent/agent/internal/judge"
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
	// skipped says that the agent is taken not to have judged it.
	skipped bool
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
	byReq := map[protocol.ReqID][]*exchange{}
	for _, e := range all {
		if !e.req().IsZero() {
			byReq[e.req()] = append(byReq[e.req()], e)
		}
	}
	from := 0
	for _, m := range d.replies {
		reply, err := protocol.DecodeReply(m.raw)
		if m.cut || m.bad != nil || err != nil {
			d.garbled = append(d.garbled, m)
			continue
		}
		a := answer{message: m, reply: reply}
		for from < len(all) && len(all[from].replies) > 0 {
			from++
		}
		asked := all[max(0, from-maxBack):]
		if !reply.Req.IsZero() {
			asked = byReq[reply.Req]
		}
		if e := answered(asked, a); e != nil {
			e.replies = append(e.replies, a)
		} else {
			d.strays = append(d.strays, a)
		}
	}
	d.exchanges = all
	return all
}

// maxBack is how many requests before the first that has no reply are looked at, to tell a
// second reply from one that answers nothing.
const maxBack = 128

// answered returns, of those that were asked, the request that a reply answers: the
// first without a reply that has its step_id, else the first without a reply. A request that
// comes after the reply is not answered by it.
func answered(asked []*exchange, a answer) *exchange {
	var open, same, twice *exchange
	for _, e := range asked {
		if e.message.end.Packet > a.message.end.Packet {
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
