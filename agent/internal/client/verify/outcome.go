package verify

import (
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/protocol"
)

// The capture may lack any packet, and the packet that carries a message may be one that was
// sent again, with the first not in the capture. So the time at which a message is seen is the
// latest at which it was sent, and an outcome is concluded only where that does not matter.

// outcome says what became of a step, and when its client was done with it.
func (v *verifier) outcome(s *Step) {
	e := s.exchange
	sent := e.message.begin.Time
	expiry := sent.Add(s.timeout)
	a := e.reply()
	switch {
	case a != nil && s.hasTime && s.response >= s.timeout:
		if !s.late(a) || e.req().IsZero() && !e.dialog.whole() { // it may answer a request that is missing
			s.unsure = "whether an earlier copy of it came in time, the packets do not say"
			return
		}
		s.Outcome, s.settled = Late, expiry
	case a != nil:
		s.settled = a.message.end.Time
		s.Outcome = outcomeOf(e, a.reply)
	case !e.dialog.heard(e.dialog.down): // the reply may be among what is missing
	default:
		v.unanswered(s)
	}
}

// late reports whether it is certain that a reply came after the timeout: it was sent then, or
// the client had not received it by then, or went on as one does that has waited in vain.
func (s *Step) late(a *answer) bool {
	d, last := s.exchange.dialog, a.message.to-1
	expiry := s.exchange.message.begin.Time.Add(s.timeout)
	if d.conn.Apart && s.response < s.timeout+capture.ApartTolerance {
		return false
	}
	if d.down.SentFirst(last) {
		return true
	}
	if not, ok := d.down.NotBefore(last); ok && !not.Mark.Time.Before(expiry) {
		return true
	}
	if i := d.up.FirstHeard(a.message.to) - 1; i >= 0 && !d.up.Seen[i].Mark.Time.Before(expiry) {
		return true
	}
	on := s.exchange.wentOn()
	off := on.Sub(expiry) - s.interval
	const near = 20 * time.Millisecond
	return !on.IsZero() && s.hasWait && s.interval > 0 && off > -near/2 && off < near
}

// unanswered says what became of a step to which no reply came over its connection, of which
// nothing that the agent sent is missing.
func (v *verifier) unanswered(s *Step) {
	e := s.exchange
	d, edge := e.dialog, v.opts.Tolerances.Edge
	sent := e.message.begin.Time
	expiry := sent.Add(s.timeout)
	soonest := e.notBefore().Add(s.timeout - edge - d.jitter())
	byAgent, byClient := d.endedBy()
	inTime := expiry
	if d.conn.Apart {
		inTime = expiry.Add(-capture.ApartTolerance)
	}
	on := e.wentOn()
	if s.hasWait && s.interval == 0 {
		on = time.Time{} // a client that does not wait between its steps may send them ahead
	}
	early := func(t time.Time) bool { return !t.IsZero() && (!s.hasTime || t.Before(expiry.Add(-edge))) }
	gaveUp := func(t time.Time, what string) {
		if s.hasTime && !t.Before(soonest) {
			s.unsure = "the client " + what + " " + span(t.Sub(sent)) + " after the request, which may have been sent before, too"
			return
		}
		s.Outcome, s.gaveUp, s.after = Abandoned, what, t.Sub(sent)
	}
	switch {
	case s.hasTime && early(on):
		gaveUp(on, "went on")
	case !byAgent.IsZero() && (!s.hasTime || byAgent.Before(inTime)) && (byClient.IsZero() || !byClient.Before(byAgent)):
		s.Outcome, s.settled = Lost, byAgent
		s.after = byAgent.Sub(sent)
	case early(byClient):
		gaveUp(byClient, "closed the connection")
	case s.hasTime && !d.silentUntil().Before(expiry.Add(-edge)):
		s.Outcome, s.settled = TimedOut, expiry
	}
}

// notBefore returns a time before which it is certain that the request was not sent; zero when
// there is none.
func (e *exchange) notBefore() time.Time {
	if e.dialog.up.SentFirst(e.message.from) {
		return e.message.begin.Time
	}
	not, _ := e.dialog.up.NotBefore(e.message.from)
	return not.Mark.Time
}

// silentUntil returns the last time at which it is certain that the agent had sent, or the
// client received, no more than is in the capture.
func (d *dialog) silentUntil() time.Time {
	var t time.Time
	if n := len(d.up.Seen); n > 0 && d.up.Seen[n-1].Heard >= 0 {
		t = d.up.Seen[n-1].Mark.Time
	}
	if d.conn.Apart {
		return t // the agent's times are of another clock
	}
	for _, one := range slices.Backward(d.down.Seen) {
		if one.Pure() { // one with bytes may be sent again, after others that are missing
			t = later(t, one.Mark.Time)
			break
		}
	}
	return later(t, d.down.RST.Time)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
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
