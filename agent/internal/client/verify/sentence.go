package verify

import (
	"fmt"
	"strconv"

	"github.com/stepagent/stepagent/agent/protocol"
)

// name is a step for people.
func (s *Step) name() string {
	if s.StepID == nil {
		return "a message without a step id"
	}
	return "step " + strconv.FormatInt(*s.StepID, 10)
}

// sentence says what became of a step.
func (v *verifier) sentence(s *Step) string {
	name, in := s.name(), span(s.response)
	if s.RepeatOf != 0 {
		name += fmt.Sprintf(", asked again as in packet %d,", s.RepeatOf)
	}
	switch s.Outcome {
	case Passed:
		return fmt.Sprintf("%s passed: the reply came after %s", name, in)
	case Refused:
		return fmt.Sprintf("%s was refused %s after %s; no timeout happened", name, refusedFor(s), in)
	case Unjudged:
		return fmt.Sprintf("%s was not judged: the agent said %s after %s", name, s.Reason, in)
	case Late:
		return fmt.Sprintf("%s timed out after %s: the reply came %s after the request, too late", name, declared(s.timeout), in)
	case TimedOut:
		return fmt.Sprintf("%s timed out: no reply came within %s%s", name, declared(s.timeout), v.silence(s))
	case Lost:
		how := "closed"
		if !s.exchange.dialog.down.RST.IsZero() {
			how = "reset"
		}
		return fmt.Sprintf("%s got no reply: the agent %s the connection after %s", name, how, span(s.after))
	case Abandoned:
		return fmt.Sprintf("%s got no reply: the client %s after %s", name, s.gaveUp, span(s.after))
	case Misanswered:
		return fmt.Sprintf("%s got a reply that is none to it, after %s", name, in)
	case Unanswered:
		if s.Reply != nil {
			return fmt.Sprintf("%s got a reply %s after the request; whether in time, the capture does not tell", name, in)
		}
	}
	return name + ": what became of it is not in the capture"
}

// silence says how long nothing came, as far as there is more than the timeout of it.
func (v *verifier) silence(s *Step) string {
	if ended := s.exchange.dialog.closed(); !ended.IsZero() {
		return fmt.Sprintf(", nor until the connection closed after %s", span(ended.Sub(s.exchange.message.begin.Time)))
	}
	return fmt.Sprintf(", nor in the %s until its last packet", span(s.exchange.dialog.silentUntil().Sub(s.exchange.message.begin.Time)))
}

// refusedFor says why a step was refused, by the agent's word or, where it gives none, by
// that of the validators.
func refusedFor(s *Step) string {
	reason := protocol.Reason(s.Reason)
	if reason == "" && s.Now != nil {
		reason = protocol.Reason(s.Now.Reason)
	}
	switch reason {
	case protocol.OutOfOrder:
		return "as out of order"
	case protocol.TimeoutTooShort:
		return "for its declared timeout"
	case protocol.IntervalNotKept:
		return "for an interval that was not kept"
	case protocol.RuleBroken:
		return "for a rule that it broke"
	case protocol.BadRequest:
		return "as a bad request"
	case protocol.BadMessage:
		return "as no message"
	case "":
		return "without a reason"
	default:
		return "with " + string(reason)
	}
}
