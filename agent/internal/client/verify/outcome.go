package verify

import (
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/client/verify/match"
	"github.com/stepagent/stepagent/agent/internal/client/verify/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
)

// An outcome finds what became of a step, and when its client was done with it. The time of a
// message is the latest at which it was sent: an earlier copy may be missing. So an outcome is
// found only where that makes no difference.
type outcome struct {
	*step
	edge time.Duration // see Tolerances.Edge
}

func (o *outcome) find() {
	x := o.exchange
	r := x.Reply()
	switch {
	case r != nil && o.timeout.Declared && o.response >= o.timeout.Duration:
		if !o.certainlyLate(r) || x.Req().IsZero() && !x.Conn.Complete() { // it may answer a missing request
			o.unsure = "whether an earlier copy of it came in time, the packets do not show"
			return
		}
		o.Outcome, o.settled = result.Late, o.expiry()
	case r != nil:
		o.Outcome, o.settled = repliedOutcome(x.Exchange, r), r.Message.End.Time
	case x.Conn.AgentComplete(): // else the reply may be missing
		o.findUnanswered()
	}
}

// expiry returns the end of the timeout, from the time at which the request is seen.
func (s *step) expiry() time.Time { return s.exchange.Sent().Add(s.timeout.Duration) }

func repliedOutcome(x *match.Exchange, r *match.Reply) result.Outcome {
	switch {
	case x.Misanswered(&r.Reply):
		return result.Misanswered
	case r.Reason.AgentsOwn():
		return result.Unjudged
	case r.OK():
		return result.Passed
	default:
		return result.Refused
	}
}

// certainlyLate reports whether a reply was sent or received after the timeout for certain, or
// the client went on as after a timeout.
func (o *outcome) certainlyLate(r *match.Reply) bool {
	c, last, expiry := o.exchange.Conn, r.Message.To-1, o.expiry()
	if c.TCP.Apart && o.response < o.timeout.Duration+capture.ApartTolerance {
		return false
	}
	if c.ToClient.IsFirstCopy(last) {
		return true
	}
	if before, ok := c.ToClient.LastBefore(last); ok && !before.Mark.Time.Before(expiry) {
		return true
	}
	if i := c.ToAgent.FirstAcking(r.Message.To) - 1; i >= 0 && !c.ToAgent.Packets[i].Mark.Time.Before(expiry) {
		return true
	}
	const near = 10 * time.Millisecond
	next := o.exchange.NextRequest()
	off := next.Sub(expiry) - o.interval.Duration
	return !next.IsZero() && o.interval.Duration > 0 && off > -near && off < 2*near
}

// findUnanswered finds the outcome of a step without a reply, on a connection of which no packet
// of the agent is missing.
func (o *outcome) findUnanswered() {
	x, c := o.exchange, o.exchange.Conn
	timed, expiry := o.timeout.Declared, o.expiry()
	byAgent, byClient := c.EndedBy()
	inTime := expiry
	if c.TCP.Apart {
		inTime = expiry.Add(-capture.ApartTolerance)
	}
	next := x.NextRequest()
	if o.interval.Declared && o.interval.Duration == 0 {
		next = time.Time{} // a client without intervals may send its steps ahead
	}
	early := func(t time.Time) bool { return !t.IsZero() && (!timed || t.Before(expiry.Add(-o.edge))) }
	switch {
	case timed && early(next):
		o.abandoned(next, "went on")
	case !byAgent.IsZero() && (!timed || byAgent.Before(inTime)) && (byClient.IsZero() || !byClient.Before(byAgent)):
		o.Outcome, o.settled = result.Lost, byAgent
		o.endedAfter = byAgent.Sub(x.Sent())
	case early(byClient):
		o.abandoned(byClient, "closed the connection")
	case timed && !c.SilentUntil().Before(expiry.Add(-o.edge)):
		o.Outcome, o.settled = result.TimedOut, expiry
	}
}

// abandoned notes that the client gave up at a time, unless an earlier copy of the request may
// have timed out by then.
func (o *outcome) abandoned(at time.Time, what string) {
	after := at.Sub(o.exchange.Sent())
	soonest := o.exchange.EarliestSent().Add(o.timeout.Duration - o.edge - o.exchange.Conn.Jitter())
	if o.timeout.Declared && !at.Before(soonest) {
		o.unsure = "the client " + what + " " + phrase.Span(after) + " after the request, which may have been sent before, too"
		return
	}
	o.Outcome, o.gaveUp, o.endedAfter = result.Abandoned, what, after
}
