package verify

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"strconv"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A comparison of an event with the capture.
type comparison struct {
	// verdict is Pass when they agree, Fail when they differ, and Inconclusive when they differ in a
	// time that an earlier copy of a packet would explain.
	verdict result.Verdict
	// text describes the agreement or the contradiction.
	text string
}

func agrees(format string, args ...any) comparison {
	return comparison{result.Pass, fmt.Sprintf(format, args...)}
}

func differs(format string, args ...any) comparison {
	return comparison{result.Fail, fmt.Sprintf(format, args...)}
}

// differsInTime is differs unless the times are not certain.
func differsInTime(certain bool, format string, args ...any) comparison {
	return comparison{result.FailUnless(!certain), fmt.Sprintf(format, args...)}
}

// compareEvent says whether the capture shows an event, which is at a line of the record.
func (c *recordCheck) compareEvent(line int, e record.Event) result.EventMatch {
	m := result.EventMatch{Line: line, Event: string(e.Kind), Verdict: result.Pass}
	if e.Index > 0 {
		m.StepID = &e.StepID
	}
	s := c.sent[e.Index]
	if e.Kind == record.KindSent || e.Kind == record.KindResent {
		s = c.byLine[line]
	}
	var found comparison
	switch e.Kind {
	case record.KindStart:
		found = agrees("a run of %s", e.Start.Procedure.Name)
	case record.KindTLS:
		found = agrees("a connection over TLS %s", e.TLS.Version)
	case record.KindResumed:
		found = agrees("the run was interrupted for %s", phrase.Span(e.Resumed.Away))
	case record.KindEnd:
		found = agrees("the run ended: %s", e.End.Cause)
	case record.KindSent:
		found = differs("no packet carries the request of step %d", e.StepID)
		if s != nil {
			found, m.Packet = c.compareSent(e, s), s.Request.Packet
		}
	case record.KindResent:
		found = differs("no packet carries the request of step %d again", e.StepID)
		if s != nil {
			found, m.Packet = c.compareResent(e, s), s.Request.Packet
		}
	case record.KindAgain:
		found = c.compareAgain(line, e)
	case record.KindUnreachable:
		found = agrees("no request of it is in the capture")
	case record.KindDropped:
		m.Verdict = result.Inconclusive
		found = agrees("messages of the agent that answer nothing were not kept: %d", e.Count)
	case record.KindStray:
		found = c.compareStray(e, s)
	default:
		found = differs("its request is not in the capture")
		switch {
		case s != nil:
			found = c.compareOutcome(e, s)
			if s.Reply != nil {
				m.Packet = s.Reply.Packet
			}
		case e.Kind == record.KindInterval && c.recordedRun.Steps[e.Index-1].Outcome == record.Unreachable:
			found = agrees("waited after a step that was not sent")
		}
	}
	m.Text = found.text
	switch {
	case line < c.begins && e.Index > 0:
		m.Verdict, m.Text = result.Inconclusive, "the capture begins after it"
	case found.verdict == result.Pass:
	case (s == nil || s.Reply == nil) && c.afterEnd(e):
		m.Verdict, m.Text = result.Inconclusive, "the capture ends before it"
	case s != nil && s.Outcome == result.Unanswered || found.verdict == result.Inconclusive:
		m.Verdict, m.Text = result.Inconclusive, found.text+", unless packets are missing"
	default:
		m.Verdict = c.contradiction(s)
	}
	return m
}

// afterEnd reports whether an event may have happened after the last packet of the capture.
func (c *recordCheck) afterEnd(e record.Event) bool {
	return len(c.sent) > 0 && c.time(e).After(c.capture.Last.Add(-recordTolerance))
}

// comparePorts compares the addresses of the record with the agents to which the requests went.
func (c *recordCheck) comparePorts() {
	start := c.recordedRun.Start.Address
	at, compared := start, map[string]bool{}
	for i, e := range c.log.Events {
		if e.Kind == record.KindResumed {
			at = cmp.Or(e.Resumed.Address, start)
		}
		s := c.byLine[i+1]
		if s == nil {
			continue
		}
		if at = cmp.Or(e.Address, at); !compared[at] {
			compared[at] = true
			c.comparePort(at, s)
		}
	}
}

// comparePort notes when the record names another port than that of the agent to which a step was sent.
func (c *recordCheck) comparePort(address string, s *step) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return
	}
	if agent := s.exchange.Conn.Agent; port != strconv.Itoa(int(agent.Port())) {
		c.match.Findings.Add(result.Inconclusive, "record_port", 0, "the record's agent has port %s, the capture's %d", port, agent.Port())
	}
}

// sentTo says to which agent an event sends its step, if not to the one before; safe to print.
func sentTo(e record.Event) string { return phrase.After(" to ", logging.Clean(e.Address)) }

// compareSent compares the sending of a step with its request.
func (c *recordCheck) compareSent(e record.Event, s *step) comparison {
	x, timeout, interval := s.exchange, s.exchange.Request.Timeout, s.exchange.Request.Interval
	off := x.Sent().Sub(c.time(e))
	switch {
	case x.Bad != nil:
		return differs("what was sent is no request: %s", x.Bad.Detail)
	case x.Request.StepID != e.StepID:
		return differs("step %d was sent instead", x.Request.StepID)
	case timeout.Declared && timeout.Duration != e.Timeout:
		return differs("it was sent with a timeout of %s, the record says %s", phrase.Declared(timeout.Duration), phrase.Declared(e.Timeout))
	case interval.Declared && interval.Duration != e.Interval:
		return differs("it was sent with an interval of %s, the record says %s", phrase.Declared(interval.Duration), phrase.Declared(e.Interval))
	case off.Abs() > recordTolerance:
		return differsInTime(x.CertainTimes(), "it was sent %s from when the record says", phrase.Span(off.Abs()))
	}
	return agrees("sent%s in packet %d", sentTo(e), s.Request.Packet)
}

// compareOutcome compares the outcome of a step, or the pause after it.
func (c *recordCheck) compareOutcome(e record.Event, s *step) comparison {
	shown := "the capture shows: " + s.Sentence
	switch e.Kind {
	case record.KindReply, record.KindLate:
		return c.compareReply(e, s, shown)
	case record.KindTimeout:
		nearly := s.Reply != nil && (s.response-s.timeout.Duration).Abs() <= recordTolerance ||
			c.sentAgain(e) && (s.Reply == nil || c.sinceFirst(e, s) > s.timeout.Duration-recordTolerance)
		if s.Outcome != result.TimedOut && s.Outcome != result.Late && !nearly {
			return differs("the record says timeout, %s", shown)
		}
	case record.KindLost:
		if s.Outcome != result.Lost {
			return differs("the record says that the connection was lost, %s", shown)
		}
	case record.KindWrong:
		if s.Outcome != result.Misanswered && len(s.exchange.Conn.Garbled)+len(s.exchange.Conn.Unmatched) == 0 {
			return differs("the record has a wrong reply, %s", shown)
		}
	case record.KindInterval:
		return c.comparePause(e, s)
	}
	return agrees("%s", s.Sentence)
}

func (c *recordCheck) compareReply(e record.Event, s *step, shown string) comparison {
	r, response := s.exchange.Reply(), c.sinceFirst(e, s)
	inTime := s.Outcome == result.Passed || s.Outcome == result.Refused || s.Outcome == result.Unjudged
	switch {
	case r == nil:
		return differs("the record has a reply, %s", shown)
	case !bytes.Equal(protocol.AppendReply(nil, r.Reply), protocol.AppendReply(nil, *e.Reply)):
		return differs("the reply on the wire is another: %.200s", r.Message.Raw)
	case (response - e.Took).Abs() > recordTolerance:
		return differsInTime(s.exchange.CertainTimes(), "the reply took %s by the record, and %s on the wire", phrase.Span(e.Took), phrase.Span(response))
	case inTime != (e.Kind == record.KindReply) && !c.sentAgain(e) && (s.response-s.timeout.Duration).Abs() > recordTolerance:
		return differsInTime(s.exchange.CertainTimes(), "the record says %s, %s", e.Kind, shown)
	}
	return agrees("reply in packet %d, %s after the request", s.Reply.Packet, phrase.Span(response))
}

func (c *recordCheck) comparePause(e record.Event, s *step) comparison {
	switch {
	case s.pause == nil && c.sent[e.Index+1] == nil:
		return agrees("no step follows on the wire")
	case s.pause == nil:
		return agrees("when the step was over, the packets do not show")
	case s.pause.length > e.Kept && (c.awayBefore(s.pause.next) || c.recordedRun.Steps[e.Index].Outcome == record.Unreachable):
		return agrees("waited, and then without a connection, for %s", phrase.Span(s.pause.length))
	case (s.pause.length - e.Kept).Abs() > recordTolerance:
		return differsInTime(s.pause.certainTimes(), "the client waited %s by the record, and %s on the wire", phrase.Span(e.Kept), phrase.Span(s.pause.length))
	}
	return agrees("waited %s", phrase.Span(s.pause.length))
}

// compareStray compares a message that the client could not assign to a step.
func (c *recordCheck) compareStray(e record.Event, s *step) comparison {
	if e.Stray == record.StrayDuplicate {
		if s == nil || len(s.exchange.Replies) < 2 {
			return differs("the record has a second reply, the capture has none")
		}
		return agrees("sent once more in packet %d", s.exchange.Replies[1].Message.End.Packet)
	}
	for _, conn := range c.conns {
		if len(conn.Unmatched)+len(conn.Garbled) > 0 {
			return agrees("a message to no request is in the capture")
		}
	}
	return differs("the record has a message to no request, the capture has none")
}
