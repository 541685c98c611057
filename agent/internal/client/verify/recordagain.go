package verify

import (
	"net/netip"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
)

// sentAgain reports whether the request of an event's step was sent more than once.
func (c *recordCheck) sentAgain(e record.Event) bool { return c.first[e.Index] != c.sent[e.Index] }

// sinceFirst returns the time from the first sending of a step to the reply to s, one of its requests.
func (c *recordCheck) sinceFirst(e record.Event, s *step) time.Duration {
	if first := c.first[e.Index]; first != nil && s.Reply != nil {
		return s.exchange.Reply().Message.End.Time.Sub(first.exchange.Sent())
	}
	return s.response
}

// compareResent compares a further sending of a step with its request.
func (c *recordCheck) compareResent(e record.Event, s *step) comparison {
	off := s.exchange.Sent().Sub(c.time(e))
	switch x := s.exchange; {
	case x.Bad != nil:
		return differs("what was sent again is no request: %s", x.Bad.Detail)
	case x.Request.StepID != e.StepID:
		return differs("step %d was sent instead", x.Request.StepID)
	case off.Abs() > recordTolerance:
		return differsInTime(x.CertainTimes(), "it was sent again %s from when the record says", phrase.Span(off.Abs()))
	}
	return agrees("sent again%s in packet %d", sentTo(e), s.Request.Packet)
}

// compareAgain compares a try that got no verdict with the request that was last sent before it.
func (c *recordCheck) compareAgain(line int, e record.Event) comparison {
	s := c.lastBefore(line, e.Index)
	switch cause := e.Again.Cause; {
	case cause == record.RetryUnreachable:
		return agrees("no connection could be made")
	case s == nil && cause == record.RetryLost:
		return agrees("the connection was lost before the step was sent")
	case s == nil:
		return differs("its request is not in the capture")
	case e.Reply != nil:
		return c.compareReply(record.Event{Kind: record.KindReply, Index: e.Index, Took: e.Took, Reply: e.Reply}, s, "the capture shows: "+s.Sentence)
	case s.Reply != nil || s.Outcome != result.Lost && s.Outcome != result.Unanswered:
		return differs("the record says that the connection was lost, the capture shows: %s", s.Sentence)
	}
	return agrees("%s", s.Sentence)
}

// awayBefore reports whether the record says that there was no connection for a step when it was to be sent, or
// for the step before it, which was not sent then.
func (e *evidence) awayBefore(s *step) bool {
	req := s.exchange.Req()
	if e.opts.Record == nil || req.IsZero() {
		return false
	}
	tried, unreachable := 0, false // the latest step that was tried before it was sent; that one was not sent at all
	for _, event := range e.opts.Record.Events {
		switch event.Kind {
		case record.KindAgain:
			tried = event.Index
		case record.KindUnreachable:
			unreachable = true
		case record.KindSent:
			if event.Req == req {
				return unreachable || tried == event.Index
			}
			unreachable = false
		}
	}
	return false
}

// lastBefore returns the request of a step that was last sent before a line; nil for none.
func (c *recordCheck) lastBefore(line, index int) *step {
	for i := line - 1; i > 0; i-- {
		if e := c.log.Events[i-1]; e.Index == index && (e.Kind == record.KindSent || e.Kind == record.KindResent) {
			return c.byLine[i]
		}
	}
	return nil
}

// severalAgents reports whether the recorded run may have gone on at another agent, in its session.
func (e *evidence) severalAgents() bool {
	r := e.recordedRun
	return r != nil && r.Start.Session != "" && (len(r.Start.Addresses) > 0 || len(r.Moves()) > 0)
}

// findShared finds the agents that share the session of the recorded run: those to which the client sent its
// steps, unless the run shows that one of them did not have the session.
func (e *evidence) findShared() {
	run := e.recordedRun
	if !e.severalAgents() || run.WithoutSession() != "" {
		return
	}
	for _, c := range e.conns {
		for _, x := range c.Exchanges {
			if x.Bad == nil && x.Request.Session == run.Start.Session && !slices.Contains(e.shared, c.Agent) {
				e.shared = append(e.shared, c.Agent)
			}
		}
	}
}

// home returns the agent that stands for one that shares its sessions, and any other agent itself.
func (e *evidence) home(agent netip.AddrPort) netip.AddrPort {
	if slices.Contains(e.shared, agent) {
		return e.shared[0]
	}
	return agent
}
