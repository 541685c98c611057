package verify

import (
	"cmp"
	"slices"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/verify/match"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
)

// checkUnrecorded reports messages that the record does not have.
func (c *recordCheck) checkUnrecorded() {
	run := c.recordedRun
	missing := func(s *step, format string, args ...any) {
		c.match.Findings.Add(c.contradiction(s), "not_recorded", 0, format, args...)
	}
	for _, s := range c.steps {
		if !c.recorded[s] {
			missing(s, "packet %d sends %s, and the record does not", s.Request.First, s.Name())
		}
	}
	for index, s := range c.sent {
		if s.Outcome == result.Late && run.Steps[index-1].Late == nil && index < len(run.Steps) && run.Cause == record.Finished &&
			keptConn(s) && received(s, s.exchange.Reply()) {
			missing(s, "packet %d carries a late reply to %s, and the record has none", s.Reply.Packet, s.Name())
		}
		if replies := s.exchange.Replies; len(replies) > 1 && run.Unasked() == 0 && received(s, &replies[1]) {
			missing(s, "the agent sent the reply to %s twice, and the record has it once", s.Name())
		}
	}
	slices.SortFunc(c.match.Findings, func(a, b result.Finding) int { return cmp.Compare(a.Text, b.Text) })
}

// keptConn reports whether the client kept its connection after a timeout. It closes it unless the agent
// has sent a req back by then, by which it can tell a late reply.
func keptConn(s *step) bool {
	return s.exchange.EchoedBefore(s.expiry()) || !s.exchange.NextRequest().IsZero()
}

// received reports whether the client had its connection open for certain when a reply to a step came. It
// cannot record what comes later.
func received(s *step, r *match.Reply) bool {
	c := s.exchange.Conn
	_, closed := c.EndedBy()
	return closed.IsZero() || r.Message.End.Time.Add(edge+c.ReturnDelay()).Before(closed)
}
