package match

import (
	"iter"

	"github.com/stepagent/stepagent/agent/protocol"
)

// match decodes the messages of both streams and assigns each reply to the request that it
// answers: by req where the reply has one, else by order and step id.
func (c *Conn) match(requests, replies iter.Seq[Message]) {
	for m := range requests {
		if m.Cut {
			c.CutRequest = &m
			continue
		}
		c.Exchanges = append(c.Exchanges, newExchange(c, m))
	}
	inOrder := &queue{waiting: c.Exchanges}
	byReq := map[protocol.ReqID]*queue{}
	for _, e := range c.Exchanges {
		if req := e.Req(); !req.IsZero() {
			if byReq[req] == nil {
				byReq[req] = &queue{}
			}
			byReq[req].waiting = append(byReq[req].waiting, e)
		}
	}
	for m := range replies {
		decoded, err := protocol.DecodeReply(m.Raw)
		if m.Cut || m.Malformed != nil || err != nil {
			c.Garbled = append(c.Garbled, m)
			continue
		}
		r := Reply{Message: m, Reply: decoded}
		if r.NeedsTLS() { // it has read no request
			c.Unmatched = append(c.Unmatched, r)
			continue
		}
		q := inOrder
		if !r.Req.IsZero() {
			q = byReq[r.Req]
		}
		e := answered(q.window(), &r)
		if e == nil || e.OtherStep(&r.Reply) && !c.Complete() { // its own request may be missing
			c.Unmatched = append(c.Unmatched, r)
			continue
		}
		e.Replies = append(e.Replies, r)
	}
}

// A queue is requests in the order in which they were sent.
type queue struct {
	waiting []*Exchange
	from    int // the first without a reply
}

// maxBack and maxAhead bound how many requests are considered for one reply, before the first
// without a reply (to tell a second reply from an unmatched one) and behind it.
const (
	maxBack  = 128
	maxAhead = 1024
)

// window returns the requests that the next reply may answer.
func (q *queue) window() []*Exchange {
	if q == nil {
		return nil
	}
	for q.from < len(q.waiting) && len(q.waiting[q.from].Replies) > 0 {
		q.from++
	}
	return q.waiting[max(0, q.from-maxBack):min(len(q.waiting), q.from+maxAhead)]
}

// answered returns the request that a reply answers: the first without a reply that has its
// step_id, else the first without a reply, else an answered one that has its step_id.
func answered(waiting []*Exchange, r *Reply) *Exchange {
	var open, same, twice *Exchange
	for _, e := range waiting {
		if !e.receivedBefore(r) || same != nil && !same.expired(r) {
			break
		}
		if r.Req.IsZero() && !e.Req().IsZero() && e.Bad == nil && r.StepID != nil {
			continue // an agent echoes the req of a request
		}
		switch {
		case len(e.Replies) > 0 && e.sameStep(&r.Reply):
			twice = e
		case len(e.Replies) > 0:
		case open == nil:
			open = e
			fallthrough
		default:
			// Of several requests for the same step, prefer one whose client still waits.
			if e.sameStep(&r.Reply) && (same == nil || same.expired(r) && !e.expired(r)) {
				same = e
			}
		}
	}
	switch {
	case same != nil:
		return same
	case r.StepID == nil || open != nil && twice == nil:
		return open
	default:
		return twice
	}
}

// receivedBefore reports whether the agent had the request when it sent the reply: by the
// acknowledgement in the reply's packet, else by the times.
func (e *Exchange) receivedBefore(r *Reply) bool {
	if r.Message.AckedAtEnd < 0 {
		return !e.Message.End.Time.After(r.Message.End.Time)
	}
	return e.Message.To <= r.Message.AckedAtEnd
}

// expired reports whether the timeout of the request had passed when a reply came.
func (e *Exchange) expired(r *Reply) bool {
	timeout := e.Request.Timeout
	return timeout.Declared && !r.Message.End.Time.Before(e.Sent().Add(timeout.Duration))
}
