package verify

import (
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// outcome says what became of a step, and when its client was done with it.
func (v *verifier) outcome(s *Step) {
	e := s.exchange
	sent := e.message.begin.Time
	expiry := sent.Add(s.timeout)
	a := e.reply()
	byAgent, byClient := e.dialog.endedBy()
	on := e.wentOn()
	early := func(t time.Time) bool {
		return !t.IsZero() && (!s.hasTime || t.Before(expiry.Add(-v.opts.Tolerances.Edge)))
	}
	switch {
	case a != nil && s.hasTime && s.response >= s.timeout:
		s.Outcome, s.settled = Late, expiry
	case a != nil:
		s.settled = a.message.end.Time
		s.Outcome = outcomeOf(e, a.reply)
	case len(e.dialog.down.Missing) > 0: // the reply may be among what is missing
	case !on.IsZero() && s.hasTime && early(on):
		s.Outcome, s.gaveUp = Abandoned, "went on"
		s.after = on.Sub(sent)
	case !byAgent.IsZero() && (!s.hasTime || byAgent.Before(expiry)) && (byClient.IsZero() || !byClient.Before(byAgent)):
		s.Outcome, s.settled = Lost, byAgent
		s.after = byAgent.Sub(sent)
	case early(byClient):
		s.Outcome, s.gaveUp = Abandoned, "closed the connection"
		s.after = byClient.Sub(sent)
	case s.hasTime && !v.observedUntil().Before(expiry):
		s.Outcome, s.settled = TimedOut, expiry
	}
}

// wentOn returns when the client sent its next request over the same connection; zero when it
// did not.
func (e *exchange) wentOn() time.Time {
	if i := e.index + 1; i < len(e.dialog.exchanges) {
		return e.dialog.exchanges[i].message.begin.Time
	}
	return time.Time{}
}

func outcomeOf(e *exchange, reply protocol.Reply) Outcome {
	id := e.id()
	switch {
	case reply.StepID != nil && id != nil && *reply.StepID != *id, reply.StepID == nil && reply.ErrorCode == 0:
		return Misanswered
	case reply.Reason.AgentsOwn():
		return Unjudged
	case reply.OK():
		return Passed
	default:
		return Refused
	}
}

// endedBy returns when agent and client ended the connection, zero for not.
func (d *dialog) endedBy() (agent, client time.Time) {
	return earlier(d.down.FIN.Time, d.down.RST.Time), earlier(d.up.FIN.Time, d.up.RST.Time)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
