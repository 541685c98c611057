package match

import (
	"errors"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/protocol"
)

// An Exchange is one request and its replies.
type Exchange struct {
	Conn    *Conn
	Index   int // among the exchanges of its connection
	Message Message
	Request protocol.Request
	// Bad is why the message is no valid request; nil when it is one.
	Bad *protocol.Error
	// Replies are in the order of their arrival. Only a fault causes more than one.
	Replies []Reply
}

// A Reply is one reply of an agent.
type Reply struct {
	Message Message
	protocol.Reply
}

func newExchange(c *Conn, m Message) *Exchange {
	e := &Exchange{Conn: c, Index: len(c.Exchanges), Message: m, Bad: m.Malformed}
	if e.Bad == nil {
		var err error
		if e.Request, err = protocol.DecodeRequest(m.Raw); err != nil {
			errors.As(err, &e.Bad)
		}
	}
	return e
}

// StepID returns the id of the step, also that of a bad request; nil when it has none.
func (e *Exchange) StepID() *int64 {
	if e.Bad != nil {
		return e.Bad.StepID
	}
	return &e.Request.StepID
}

// Req returns the client's name for the request, also that of a bad request.
func (e *Exchange) Req() protocol.ReqID {
	if e.Bad != nil {
		return e.Bad.Req
	}
	return e.Request.Req
}

// Reply returns the first reply; nil when there is none.
func (e *Exchange) Reply() *Reply {
	if len(e.Replies) == 0 {
		return nil
	}
	return &e.Replies[0]
}

// Sent returns the time at which the request is seen: the latest at which it was sent.
func (e *Exchange) Sent() time.Time { return e.Message.Begin.Time }

// sameStep reports whether request and reply have the same step id.
func (e *Exchange) sameStep(r *protocol.Reply) bool {
	id := e.StepID()
	return id != nil && r.StepID != nil && *id == *r.StepID
}

// OtherStep reports whether the reply has the id of another step.
func (e *Exchange) OtherStep(r *protocol.Reply) bool {
	id := e.StepID()
	return id != nil && r.StepID != nil && *id != *r.StepID
}

// Misanswered reports whether a reply is for another step, or has code 0 and no step id.
func (e *Exchange) Misanswered(r *protocol.Reply) bool {
	return e.OtherStep(r) || r.StepID == nil && r.ErrorCode == 0
}

// NextRequest returns when the client sent its next request over the same connection; zero when it
// did not.
func (e *Exchange) NextRequest() time.Time {
	if i := e.Index + 1; i < len(e.Conn.Exchanges) {
		return e.Conn.Exchanges[i].Sent()
	}
	return time.Time{}
}

// EchoedBefore reports whether the agent had sent back the req of an earlier request over the connection
// by a time.
func (e *Exchange) EchoedBefore(t time.Time) bool {
	return slices.ContainsFunc(e.Conn.Exchanges[:e.Index], func(earlier *Exchange) bool {
		r := earlier.Reply()
		return r != nil && !r.Req.IsZero() && r.Message.End.Time.Before(t)
	})
}

// FirstPacket returns the packet that carries the first byte of the request.
func (e *Exchange) FirstPacket() capture.Packet {
	sent := e.Conn.ToAgent
	if i := sent.FirstCarrying(e.Message.From); i < len(sent.Packets) {
		return sent.Packets[i]
	}
	return capture.Packet{Mark: e.Message.Begin, Acked: -1}
}

// AckOf returns the first packet of the client that acknowledges a reply.
func (e *Exchange) AckOf(r *Reply) (capture.Packet, bool) {
	sent := e.Conn.ToAgent
	i := sent.FirstAcking(r.Message.To)
	if i == len(sent.Packets) {
		return capture.Packet{}, false
	}
	return sent.Packets[i], true
}

// SentFirst reports whether the capture is certain to have the first copy of the request.
func (e *Exchange) SentFirst() bool { return e.Conn.ToAgent.IsFirstCopy(e.Message.From) }

// SentFirst reports whether the capture is certain to have the first copy of the reply on c.
func (r *Reply) SentFirst(c *Conn) bool { return c.ToClient.IsFirstCopy(r.Message.To - 1) }

// CertainTimes reports whether request and reply are seen when they were first sent.
func (e *Exchange) CertainTimes() bool {
	r := e.Reply()
	return e.SentFirst() && (r == nil || r.SentFirst(e.Conn))
}

// EarliestSent returns a time before which the request was certainly not sent; zero for none.
func (e *Exchange) EarliestSent() time.Time {
	if e.SentFirst() {
		return e.Sent()
	}
	before, _ := e.Conn.ToAgent.LastBefore(e.Message.From)
	return before.Mark.Time
}
