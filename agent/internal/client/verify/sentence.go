package verify

import (
	"cmp"
	"fmt"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/protocol"
)

// sentence says what became of a step.
func sentence(s *step) string {
	name, in := s.Name(), phrase.Span(s.response)
	if s.RepeatOf != 0 {
		name += fmt.Sprintf(", asked again as in packet %d,", s.RepeatOf)
	}
	switch s.Outcome {
	case result.Passed:
		return fmt.Sprintf("%s passed: the reply came after %s", name, in)
	case result.Refused:
		return fmt.Sprintf("%s was refused %s after %s; no timeout happened", name, refusedFor(s.Step), in)
	case result.Unjudged:
		return fmt.Sprintf("%s was not judged: the agent said %s after %s", name, s.Reason, in)
	case result.Late:
		return fmt.Sprintf("%s timed out after %s: the reply came %s after the request, too late", name, phrase.Declared(s.timeout.Duration), in)
	case result.TimedOut:
		return fmt.Sprintf("%s timed out: no reply came within %s%s", name, phrase.Declared(s.timeout.Duration), silence(s))
	case result.Lost:
		how := "closed"
		if !s.exchange.Conn.ToClient.RST.IsZero() {
			how = "reset"
		}
		return fmt.Sprintf("%s got no reply: the agent %s the connection after %s", name, how, phrase.Span(s.endedAfter))
	case result.Abandoned:
		return fmt.Sprintf("%s got no reply: the client %s after %s", name, s.gaveUp, phrase.Span(s.endedAfter))
	case result.Misanswered:
		return fmt.Sprintf("%s got the reply to another step, after %s", name, in)
	case result.Unanswered:
		if s.Reply != nil {
			return fmt.Sprintf("%s got a reply %s after the request; whether in time, the capture does not show", name, in)
		}
	}
	return name + ": its outcome is not in the capture"
}

// silence says how much longer than the timeout no reply came.
func silence(s *step) string {
	c, sent := s.exchange.Conn, s.exchange.Sent()
	if ended := c.Closed(); !ended.IsZero() {
		return fmt.Sprintf(", nor until the connection closed after %s", phrase.Span(ended.Sub(sent)))
	}
	return fmt.Sprintf(", nor in the %s until its last packet", phrase.Span(c.SilentUntil().Sub(sent)))
}

var refusals = map[protocol.Reason]string{
	protocol.OutOfOrder:      "as out of order",
	protocol.TimeoutTooShort: "for its declared timeout",
	protocol.IntervalNotKept: "for an interval that was not kept",
	protocol.RuleBroken:      "for a rule that it broke",
	protocol.BadRequest:      "as a bad request",
	protocol.BadMessage:      "as no message",
	"":                       "without a reason",
}

// refusedFor says why a step was refused, by the reason of the agent, else of the validators.
func refusedFor(s *result.Step) string {
	reason := s.Reason
	if reason == "" && s.Now != nil {
		reason = s.Now.Reason
	}
	return cmp.Or(refusals[protocol.Reason(reason)], "with "+reason)
}
