package verify

import (
	"fmt"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// judgeStep says whether the capture supports what is claimed of a step. late says that its
// session began before the capture.
func (v *verifier) judgeStep(s *Step, late bool) {
	e := s.exchange
	v.judgeMessages(s)
	if a := e.reply(); a != nil {
		v.judgeReply(s, a.reply, late)
		v.judgeTwice(s)
	} else if e.now.Fault != nil && s.Outcome == TimedOut {
		s.find(Pass, "fault", 0, "the config asks for this: "+e.now.Fault.Kind.String())
	}
	if e.skipped {
		s.find(Pass, "taken_as_unjudged", 0, "it got no reply, and the replies after it show that the agent did not judge it")
	}
	v.judgeTime(s)
	s.Verdict = verdictOf(s.Findings)
	s.Sentence = v.sentence(s)
}

// judgeMessages says whether all of the exchange is there.
func (v *verifier) judgeMessages(s *Step) {
	e := s.exchange
	a := e.reply()
	if e.message.unsure || a != nil && a.message.unsure {
		s.find(Inconclusive, "after_gap", s.Request.First, "bytes of the connection before it are missing in the capture")
	}
	if a == nil && !e.dialog.heard(e.dialog.down) {
		s.find(Inconclusive, "reply_missing", 0, "no reply is in the capture, but packets of the agent are missing in it")
	}
}

// judgeReply compares the reply with the request and with what the validators say.
func (v *verifier) judgeReply(s *Step, reply protocol.Reply, late bool) {
	e, packet := s.exchange, s.Reply.Packet
	allowed := e.now.Fault // misbehaviour that the config asks for
	if s.Outcome == Misanswered || e.id() != nil && reply.StepID != nil && *reply.StepID != *e.id() {
		if allowed == nil || allowed.Kind != validator.FaultWrongID {
			s.find(Fail, "wrong_id", packet, "the reply is to another step")
		}
		return
	}
	if reply.Session != "" && e.bad == nil && reply.Session != e.request.Session {
		s.find(Fail, "wrong_session", packet, fmt.Sprintf("the reply names the session %q", reply.Session))
	}
	if reply.ErrorCode == 0 && reply.Reason != "" {
		s.find(Fail, "contradiction", packet, fmt.Sprintf("the reply has code 0 and the reason %s", reply.Reason))
	}
	if e.bad != nil {
		v.judgeBad(s, reply)
		return
	}
	if !e.asked && !e.replayed && !reply.Reason.AgentsOwn() {
		s.find(Fail, "not_asked", packet, fmt.Sprintf("the agent judged the step, these rules refuse it: %s: %s; give the agent's config with --config",
			e.instead.Reason, e.instead.Detail))
		return
	}
	if late {
		return
	}
	if what := e.disagrees(); what != "" && (allowed == nil || allowed.Kind != validator.FaultWrongCode) {
		s.find(Fail, "verdict", packet, what)
		return
	}
	v.judgeCode(s, reply)
	if reply.End != e.ends && !e.replayed && s.Position > 0 && !reply.Reason.AgentsOwn() && reply.End {
		s.find(Fail, "end", packet, fmt.Sprintf("the agent ended the session at position %d of %d; give the agent's config with --config",
			s.Position, v.opts.Session.Steps))
	}
}

// judgeBad judges the reply to what is no request.
func (v *verifier) judgeBad(s *Step, reply protocol.Reply) {
	if reply.Reason != s.exchange.bad.Reason && (reply.ErrorCode == 0 || reply.Reason != "") {
		s.find(Fail, "verdict", s.Reply.Packet, fmt.Sprintf("the agent said %q, this is %s", reply.Reason, s.exchange.bad.Error()))
		return
	}
	v.judgeCode(s, reply)
}

// judgeCode compares the number of a refusal with the rules. An agent that gives no reasons is
// older than protocol 1, and has numbers of its own.
func (v *verifier) judgeCode(s *Step, reply protocol.Reply) {
	if reply.Reason == "" {
		if reply.ErrorCode != 0 {
			s.find(Pass, "no_reason", s.Reply.Packet, fmt.Sprintf("the agent sent code %d and no reason", reply.ErrorCode))
		}
		return
	}
	fault := s.exchange.now.Fault
	if want := v.opts.Session.Codes.Of(reply.Reason); reply.ErrorCode != want && (fault == nil || fault.Kind != validator.FaultWrongCode) {
		s.find(Fail, "code", s.Reply.Packet, fmt.Sprintf("the code of %s is %d, these rules have %d; give the agent's config with --config",
			reply.Reason, reply.ErrorCode, want))
	}
}

// judgeTwice looks at further replies to the same request.
func (v *verifier) judgeTwice(s *Step) {
	replies := s.exchange.replies
	for _, other := range replies[1:] {
		same := other.reply.ErrorCode == replies[0].reply.ErrorCode && other.reply.Reason == replies[0].reply.Reason
		if same {
			s.find(Pass, "duplicate", other.message.end.Packet, "the agent sent the reply once more, in packet "+fmt.Sprint(other.message.end.Packet))
		} else {
			s.find(Fail, "two_replies", other.message.end.Packet, "the agent sent another reply as well, in packet "+fmt.Sprint(other.message.end.Packet))
		}
	}
}

// judgeTime judges the response and the interval after it.
func (v *verifier) judgeTime(s *Step) {
	t := v.opts.Tolerances
	switch s.Outcome {
	case Unanswered:
		if d := s.exchange.dialog; s.Reply == nil && !d.heard(d.down) {
			break // that has been said
		}
		s.find(Inconclusive, "unanswered", 0, v.whyUnanswered(s))
	case Abandoned:
		if s.hasTime {
			s.find(Fail, "abandoned", 0, fmt.Sprintf("the client %s %s after it had asked, and had declared to wait %s",
				s.gaveUp, span(s.after), declared(s.timeout)))
		} else {
			s.find(Inconclusive, "abandoned", 0, "the client "+s.gaveUp+" before a reply came, and had declared no timeout")
		}
	case Passed, Refused, Unjudged, Late:
		// On the agent's side of a link the way to the client is still to come.
		edge, over := t.Edge+s.exchange.dialog.way(), t.Edge
		if s.exchange.dialog.conn.Apart {
			edge, over = edge+capture.ApartTolerance, over+capture.ApartTolerance
		}
		if left := s.timeout - s.response; s.hasTime && left > -over && left < edge {
			s.find(Inconclusive, "edge", s.Reply.Packet, fmt.Sprintf(
				"the reply came within %s of the end of the timeout: which came first for the client, the packets do not say", span(edge)))
		}
	}
	v.judgeGap(s)
}

func (v *verifier) whyUnanswered(s *Step) string {
	switch {
	case s.unsure != "" && s.Reply != nil:
		return fmt.Sprintf("the reply came %s after the request, and its timeout is %s; %s", span(s.response), declared(s.timeout), s.unsure)
	case s.unsure != "":
		return s.unsure
	case !s.hasTime:
		return "no reply is in the capture, and the request declares no timeout"
	}
	if last := s.exchange.dialog.silentUntil(); v.observedUntil().Sub(last) > v.opts.Tolerances.Edge {
		return fmt.Sprintf("the last packet of its connection is %s after the request, before a reply or the end of its timeout of %s",
			span(last.Sub(s.exchange.message.begin.Time)), declared(s.timeout))
	}
	left := v.observedUntil().Sub(s.exchange.message.begin.Time)
	return fmt.Sprintf("the capture ends %s after the request, before a reply or the end of its timeout of %s", span(left), declared(s.timeout))
}
