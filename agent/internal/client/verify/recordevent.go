package verify

import (
	"bytes"
	"fmt"
	"net"
	"strconv"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// ifWhole is the verdict of a contradiction: a fail, unless something is missing in the
// capture that might explain it. What is not in the capture may always be missing.
func (c *comparison) ifWhole(s *Step) Verdict {
	if s == nil || s.session != nil && (s.session.doubt || s.session.unclear || s.session.mixed) {
		return Inconclusive
	}
	return c.v.sureOf(s.exchange.dialog)
}

// certainTime reports whether the times of request and reply are those at which they were
// sent first.
func (s *Step) certainTime() bool {
	e := s.exchange
	a := e.reply()
	return e.dialog.up.SentFirst(e.message.from) && (a == nil || e.dialog.down.SentFirst(a.message.to-1))
}

// event says whether the capture shows one event.
func (c *comparison) event(line int, e record.Event) {
	m := EventMatch{Line: line, Event: string(e.Kind), Verdict: Pass}
	if e.Index > 0 {
		m.StepID = &e.StepID
	}
	s := c.sent[e.Index]
	wrong, text, unsure := "", "", false
	switch e.Kind {
	case record.KindStart:
		wrong, text = c.start(e)
	case record.KindEnd:
		text = "the run ended: " + string(e.End.Cause)
	case record.KindSent:
		if s == nil {
			wrong = fmt.Sprintf("no packet carries the request of step %d", e.StepID)
			break
		}
		m.Packet = s.Request.Packet
		wrong, text, unsure = c.wasSent(e, s)
	case record.KindUnreachable:
		text = "no request of it is in the capture"
	case record.KindDropped:
		m.Verdict = Inconclusive
		text = fmt.Sprintf("messages of the agent that answer nothing were not kept: %d", e.Count)
	case record.KindStray:
		wrong, text = c.stray(e, s)
	default:
		if s == nil {
			wrong = "its request is not in the capture"
			break
		}
		wrong, text, unsure = c.settled(e, s)
		if s.Reply != nil {
			m.Packet = s.Reply.Packet
		}
	}
	m.Text = text
	switch {
	case wrong != "" && (s == nil || s.Reply == nil) && c.afterEnd(e):
		m.Verdict, m.Text = Inconclusive, "the capture ends before it"
	case wrong != "" && (s != nil && s.Outcome == Unanswered || unsure):
		m.Verdict, m.Text = Inconclusive, wrong+", unless packets are missing"
	case wrong != "":
		m.Verdict, m.Text = c.ifWhole(s), wrong
	}
	c.match.Events = append(c.match.Events, m)
}

// afterEnd reports whether an event may have happened after the last packet of the capture.
func (c *comparison) afterEnd(e record.Event) bool {
	at := c.run.Start.Time.Add(e.At).Add(c.offset)
	return len(c.sent) > 0 && at.After(c.v.capture.Last.Add(-c.v.opts.Tolerances.Record))
}

func (c *comparison) start(e record.Event) (wrong, text string) {
	_, port, err := net.SplitHostPort(e.Start.Address)
	if err == nil && len(c.steps) > 0 {
		agent := c.steps[0].exchange.dialog.agent
		if port != strconv.Itoa(int(agent.Port())) {
			c.find(Inconclusive, "record_port", fmt.Sprintf("the record's agent has port %s, the capture's %d", port, agent.Port()))
		}
	}
	return "", "a run of " + e.Start.Procedure.Name
}

// wasSent compares a sending with its request. unsure says that it is the time that differs, and
// that an earlier copy of a packet may be missing.
func (c *comparison) wasSent(e record.Event, s *Step) (wrong, text string, unsure bool) {
	r := s.exchange.request
	at := c.run.Start.Time.Add(e.At).Add(c.offset)
	off := s.exchange.message.begin.Time.Sub(at)
	switch {
	case s.exchange.bad != nil:
		return "what was sent is no request: " + s.exchange.bad.Detail, "", false
	case r.StepID != e.StepID:
		return fmt.Sprintf("step %d was sent instead", r.StepID), "", false
	case r.Timeout.Declared && r.Timeout.Duration != e.Timeout:
		return fmt.Sprintf("it was sent with a timeout of %s, the record says %s", declared(r.Timeout.Duration), declared(e.Timeout)), "", false
	case r.Interval.Declared && r.Interval.Duration != e.Interval:
		return fmt.Sprintf("it was sent with an interval of %s, the record says %s", declared(r.Interval.Duration), declared(e.Interval)), "", false
	case off.Abs() > c.v.opts.Tolerances.Record:
		return fmt.Sprintf("it was sent %s from when the record says", span(off.Abs())), "", !s.certainTime()
	}
	return "", "sent in packet " + strconv.Itoa(s.Request.Packet), false
}

// settled compares what became of a step; unsure is as in wasSent.
func (c *comparison) settled(e record.Event, s *Step) (wrong, text string, unsure bool) {
	shown := "the capture shows: " + s.Sentence
	switch e.Kind {
	case record.KindReply, record.KindLate:
		return c.replied(e, s, shown)
	case record.KindTimeout:
		nearly := s.Reply != nil && (s.response-s.timeout).Abs() <= c.v.opts.Tolerances.Record
		if s.Outcome != TimedOut && s.Outcome != Late && !nearly {
			return "the record says timeout, " + shown, "", false
		}
	case record.KindLost:
		if s.Outcome != Lost {
			return "the record says that the connection was lost, " + shown, "", false
		}
	case record.KindWrong:
		if s.Outcome != Misanswered && len(s.exchange.dialog.garbled)+len(s.exchange.dialog.strays) == 0 {
			return "the record says that something else came, " + shown, "", false
		}
	case record.KindInterval:
		return c.interval(e, s)
	}
	return "", s.Sentence, false
}

// replied compares a reply.
func (c *comparison) replied(e record.Event, s *Step, shown string) (wrong, text string, unsure bool) {
	a := s.exchange.reply()
	inTime := s.Outcome == Passed || s.Outcome == Refused || s.Outcome == Unjudged
	switch {
	case a == nil:
		return "the record has a reply, " + shown, "", false
	case !sameReply(a.reply, *e.Reply):
		return fmt.Sprintf("the reply on the wire is another: %.200s", a.message.raw), "", false
	case (s.response - e.Took).Abs() > c.v.opts.Tolerances.Record:
		return fmt.Sprintf("the reply took %s by the record, and %s on the wire", span(e.Took), span(s.response)), "", !s.certainTime()
	case inTime != (e.Kind == record.KindReply) && (s.response-s.timeout).Abs() > c.v.opts.Tolerances.Record:
		return "the record says " + string(e.Kind) + ", " + shown, "", !s.certainTime()
	}
	return "", fmt.Sprintf("reply in packet %d, %s after the request", s.Reply.Packet, span(s.response)), false
}

func (c *comparison) interval(e record.Event, s *Step) (wrong, text string, unsure bool) {
	switch {
	case !s.hasGap && c.sent[e.Index+1] == nil:
		return "", "no step follows on the wire", false
	case !s.hasGap:
		return "", "when the step was over, the packets do not say", false
	case (s.gap - e.Kept).Abs() > c.v.opts.Tolerances.Record:
		certain := s.certainTime() && s.next.certainTime() && (s.next.exchange.dialog == s.exchange.dialog || s.session.sure && !s.session.mixed)
		return fmt.Sprintf("the client waited %s by the record, and %s on the wire", span(e.Kept), span(s.gap)), "", !certain
	}
	return "", fmt.Sprintf("waited %s", span(s.gap)), false
}

func (c *comparison) stray(e record.Event, s *Step) (wrong, text string) {
	switch e.Stray {
	case record.StrayDuplicate:
		if s == nil || len(s.exchange.replies) < 2 {
			return "the record has a second reply, the capture has none", ""
		}
		return "", "sent once more in packet " + strconv.Itoa(s.exchange.replies[1].message.end.Packet)
	default:
		for _, d := range c.v.dialogs {
			if len(d.strays)+len(d.garbled) > 0 {
				return "", "something that answers nothing is in the capture"
			}
		}
		return "the record has something that answers nothing, the capture has not", ""
	}
}

// sameReply compares replies as they are on the wire.
func sameReply(a, b protocol.Reply) bool {
	return bytes.Equal(protocol.AppendReply(nil, a), protocol.AppendReply(nil, b))
}
