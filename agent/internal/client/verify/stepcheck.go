package verify

import (
	"fmt"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// A stepCheck checks one step: that its messages are complete, that the reply is the one that the
// validators give, and that timeout and interval were kept.
type stepCheck struct {
	*step
	opts Options
	// end is the time of the last packet of the capture.
	end time.Time
	// awayNext says that by the record there was no connection for the next step at first.
	awayNext bool
}

// checkStep checks a step and writes its sentence. startsLate says that its session began before
// the capture, so that the validators cannot judge it.
func (e *evidence) checkStep(s *step, startsLate bool) {
	c := &stepCheck{step: s, opts: e.opts, end: e.capture.Last, awayNext: s.pause != nil && e.awayBefore(s.pause.next)}
	c.checkMessages()
	if r := s.exchange.Reply(); r != nil {
		c.checkReply(r.Reply, startsLate)
		c.checkFurtherReplies()
	} else if fault := s.exchange.Judgement.Fault; fault != nil && s.Outcome == result.TimedOut {
		s.Findings.Add(result.Pass, "fault", 0, "the config asks for this: %s", fault.Kind)
	}
	if s.exchange.Skipped {
		s.Findings.Add(result.Pass, "taken_as_unjudged", 0, "it got no reply, and the replies after it show that the agent did not judge it")
	}
	c.checkTime()
	c.checkInterval()
	s.Verdict = s.Findings.Verdict()
	s.Sentence = sentence(s)
}

// checkMessages reports missing bytes before the messages, and a reply that may be missing.
func (c *stepCheck) checkMessages() {
	r := c.exchange.Reply()
	if c.exchange.Message.AfterGap || r != nil && r.Message.AfterGap {
		c.Findings.Add(result.Inconclusive, "after_gap", c.Request.First, "bytes of the connection before it are missing in the capture")
	}
	if r == nil && !c.exchange.Conn.AgentComplete() {
		c.Findings.Add(result.Inconclusive, "reply_missing", 0, "no reply is in the capture, but packets of the agent are missing in it")
	}
}

// allows reports whether the config asks for a fault of this kind.
func (c *stepCheck) allows(kind validator.FaultKind) bool {
	fault := c.exchange.Judgement.Fault
	return fault != nil && fault.Kind == kind
}

// checkReply compares the reply with the request and with the validators.
func (c *stepCheck) checkReply(r protocol.Reply, startsLate bool) {
	x, packet := c.exchange, c.Reply.Packet
	fails := func(code, format string, args ...any) { c.Findings.Add(result.Fail, code, packet, format, args...) }
	if c.Outcome == result.Misanswered || x.OtherStep(&r) {
		if !c.allows(validator.FaultWrongID) {
			fails("wrong_id", "the reply is to another step")
		}
		return
	}
	if r.Session != "" && x.Bad == nil && r.Session != x.Request.Session {
		fails("wrong_session", "the reply names the session %q", r.Session)
	}
	if r.ErrorCode == 0 && r.Reason != "" {
		fails("contradiction", "the reply has code 0 and the reason %s", r.Reason)
	}
	contradicts := x.Contradicts()
	switch {
	case x.Bad != nil && r.Reason != x.Bad.Reason && (r.ErrorCode == 0 || r.Reason != ""):
		fails("verdict", "the agent said %q, this is %v", r.Reason, x.Bad)
		return
	case x.Bad != nil:
		c.checkCode(r)
		return
	case x.JudgedElsewhere():
		fails("not_asked", "the agent judged the step, these rules refuse it: %s: %s; give the agent's config with --config",
			x.Refusal.Reason, x.Refusal.Detail)
		return
	case startsLate:
		return
	case contradicts != "" && !c.allows(validator.FaultWrongCode):
		fails("verdict", "%s", contradicts)
		return
	}
	c.checkCode(r)
	if r.End && !x.Ends && !x.Replayed && c.Position > 0 && !r.Reason.AgentsOwn() {
		fails("end", "the agent ended the session at position %d of %d; give the agent's config with --config", c.Position, c.opts.Session.Steps)
	}
}

// checkCode compares the code of a refusal with the rules. An agent that gives no reason is older
// than protocol 1 and has codes of its own.
func (c *stepCheck) checkCode(r protocol.Reply) {
	if r.Reason == "" {
		if r.ErrorCode != 0 {
			c.Findings.Add(result.Pass, "no_reason", c.Reply.Packet, "the agent sent code %d and no reason", r.ErrorCode)
		}
		return
	}
	if want := c.opts.Session.Codes.Of(r.Reason); r.ErrorCode != want && !c.allows(validator.FaultWrongCode) {
		c.Findings.Add(result.Fail, "code", c.Reply.Packet, "the code of %s is %d, these rules have %d; give the agent's config with --config",
			r.Reason, r.ErrorCode, want)
	}
}

// checkFurtherReplies compares further replies to the request with the first.
func (c *stepCheck) checkFurtherReplies() {
	first := c.exchange.Replies[0]
	for _, r := range c.exchange.Replies[1:] {
		packet := r.Message.End.Packet
		if r.ErrorCode == first.ErrorCode && r.Reason == first.Reason {
			c.Findings.Add(result.Pass, "duplicate", packet, "the agent sent the reply once more, in packet %d", packet)
		} else {
			c.Findings.Add(result.Fail, "two_replies", packet, "the agent sent another reply as well, in packet %d", packet)
		}
	}
}

// checkTime checks the response against the timeout.
func (c *stepCheck) checkTime() {
	x, timeout, timed := c.exchange, c.timeout.Duration, c.timeout.Declared
	switch c.Outcome {
	case result.Unanswered:
		if c.Reply != nil || x.Conn.AgentComplete() { // else it is reported as reply_missing
			c.Findings.Add(result.Inconclusive, "unanswered", 0, "%s", c.whyUnanswered())
		}
	case result.Abandoned:
		if timed {
			c.Findings.Add(result.Fail, "abandoned", 0, "the client %s %s after the request, and had declared to wait %s",
				c.gaveUp, phrase.Span(c.endedAfter), phrase.Declared(timeout))
		} else {
			c.Findings.Add(result.Inconclusive, "abandoned", 0, "the client %s before a reply came, and had declared no timeout", c.gaveUp)
		}
	case result.Passed, result.Refused, result.Unjudged, result.Late:
		// At the agent's end of a link the reply still has to travel to the client.
		before, after := edge+x.Conn.ReturnDelay(), edge
		if x.Conn.TCP.Apart {
			before, after = before+capture.ApartTolerance, after+capture.ApartTolerance
		}
		if left := timeout - c.response; timed && left > -after && left < before {
			c.Findings.Add(result.Inconclusive, "edge", c.Reply.Packet,
				"the reply came within %s of the end of the timeout: which came first for the client, the packets do not show", phrase.Span(before))
		}
	}
}

func (c *stepCheck) whyUnanswered() string {
	sent, timeout := c.exchange.Sent(), phrase.Declared(c.timeout.Duration)
	switch {
	case c.unsure != "" && c.Reply != nil:
		return fmt.Sprintf("the reply came %s after the request, and its timeout is %s; %s", phrase.Span(c.response), timeout, c.unsure)
	case c.unsure != "":
		return c.unsure
	case !c.timeout.Declared:
		return "no reply is in the capture, and the request declares no timeout"
	}
	if last := c.exchange.Conn.SilentUntil(); c.end.Sub(last) > edge {
		return fmt.Sprintf("the last packet of its connection is %s after the request, before a reply or the end of its timeout of %s",
			phrase.Span(last.Sub(sent)), timeout)
	}
	return fmt.Sprintf("the capture ends %s after the request, before a reply or the end of its timeout of %s", phrase.Span(c.end.Sub(sent)), timeout)
}
