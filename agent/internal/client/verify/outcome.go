package verify

import (
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/verify/match"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
)

// findOutcome finds what became of a step, and when its client was done with it. The time of a
// message is the latest at which it was sent: an earlier copy may be missing. So an outcome is
// found only where that makes no difference.
func (s *step) findOutcome() {
	x := s.exchange
	r := x.Reply()
	switch {
	case r != nil && s.timeout.Declared && s.response >= s.timeout.Duration:
		if !s.certainlyLate(r) || x.Req().IsZero() && !x.Conn.Complete() { // it may answer a missing request
			s.unsure = "whether an earlier copy of it came in time, the packets do not show"
			return
		}
		s.Outcome, s.settled = result.Late, s.expiry()
	case r != nil:
		s.Outcome, s.settled = repliedOutcome(x.Exchange, r), r.Message.End.Time
	case x.Conn.AgentComplete(): // else the reply may be missing
		s.findUnanswered()
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
func (s *step) certainlyLate(r *match.Reply) bool {
	c, last, expiry := s.exchange.Conn, r.Message.To-1, s.expiry()
	if c.TCP.Apart && s.response < s.timeout.Duration+capture.ApartTolerance {
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
	next := s.exchange.NextRequest()
	off := next.Sub(expiry) - s.interval.Duration
	return !next.IsZero() && s.interval.Duration > 0 && off > -near && off < 2*near
}

// findUnanswered finds the outcome of a step without a reply, on a connection of which no packet
// of the agent is missing.
func (s *step) findUnanswered() {
	x, c := s.exchange, s.exchange.Conn
	timed, expiry := s.timeout.Declared, s.expiry()
	byAgent, byClient := c.EndedBy()
	inTime := expiry
	if c.TCP.Apart {
		inTime = expiry.Add(-capture.ApartTolerance)
	}
	next := x.NextRequest()
	if s.interval.Declared && s.interval.Duration == 0 {
		next = time.Time{} // a client without intervals may send its steps ahead
	}
	early := func(t time.Time) bool { return !t.IsZero() && (!timed || t.Before(expiry.Add(-edge))) }
	switch {
	case timed && early(next):
		s.abandoned(next, "went on")
	case !byAgent.IsZero() && (!timed || byAgent.Before(inTime)) && (byClient.IsZero() || !byClient.Before(byAgent)):
		s.Outcome, s.settled = result.Lost, byAgent
		s.endedAfter = byAgent.Sub(x.Sent())
	case early(byClient):
		s.abandoned(byClient, "closed the connection")
	case timed && !c.SilentUntil().Before(expiry.Add(-edge)):
		s.Outcome, s.settled = result.TimedOut, expiry
	}
}

// abandoned notes that the client gave up at a time, unless an earlier copy of the request may
// have timed out by then.
func (s *step) abandoned(at time.Time, what string) {
	after := at.Sub(s.exchange.Sent())
	soonest := s.exchange.EarliestSent().Add(s.timeout.Duration - edge - s.exchange.Conn.Jitter())
	if s.timeout.Declared && !at.Before(soonest) {
		s.unsure = "the client " + what + " " + phrase.Span(after) + " after the request, which may have been sent before, too"
		return
	}
	s.Outcome, s.gaveUp, s.endedAfter = result.Abandoned, what, after
}
