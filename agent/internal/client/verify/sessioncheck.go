package verify

import (
	"fmt"
	"slices"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
)

// A sessionCheck checks the steps of a session and whether the capture has all of it.
type sessionCheck struct {
	*evidence
	session *session
}

func (c *sessionCheck) run() {
	s := c.session
	switch {
	case s.startsLate:
		s.Findings.Add(result.Inconclusive, "began_before", s.Steps[0].Request.First,
			"the session began before the capture: its first step here is %s, so that the validators cannot judge it again", s.Steps[0].Name())
	case s.hidden > 0:
		s.Findings.Add(result.Inconclusive, "steps_missing", 0, "the replies show that %s, or more, are missing in the capture", phrase.Count(s.hidden, "step"))
	}
	c.measurePauses(s)
	if s.contradicted && !s.Named && !s.oneConn() && !c.paced() {
		s.unclear = true // it may have the steps of two clients
	}
	s.mayLack = c.mayLackSteps(s)
	for _, step := range s.steps {
		c.checkStep(step, s.startsLate)
	}
	c.checkEnd()
	s.conclude()
}

// paced reports whether all pauses are as declared, as those of one client are.
func (c *sessionCheck) paced() bool {
	for _, step := range c.session.steps {
		if step.pause == nil || !step.interval.Declared {
			continue
		}
		if off := step.pause.excess(); off < -earlyTolerance || off > c.opts.lateBy(step.interval.Duration) {
			return false
		}
	}
	return true
}

// checkEnd reports whether the client may have sent more steps than the capture has. A closed
// connection does not tell: a client may open one for each step.
func (c *sessionCheck) checkEnd() {
	s := c.session
	last := s.steps[len(s.steps)-1]
	shown := fmt.Sprintf("%s of %d", phrase.Count(len(s.Steps), "step"), c.opts.Session.Steps)
	switch {
	case s.Complete || s.startsLate:
	case last.exchange.Conn.Closed().IsZero():
		s.Findings.Add(result.Inconclusive, "cut", last.Request.Packet, "the capture ends before the session does: after %s, with its connection open", shown)
	case c.ended(s):
		s.Findings.Add(result.Pass, "incomplete", last.Request.Packet, "the client left the session after %s", shown)
	default:
		s.Findings.Add(result.Inconclusive, "incomplete", last.Request.Packet,
			"the capture shows %s, and not whether the client sent more; if that was all, say so with --steps or --record", shown)
	}
}

// conclude weakens failures that something missing may explain, and sums up the verdicts.
func (s *session) conclude() {
	s.weaken(s.Findings)
	s.Verdict = s.Findings.Verdict()
	for _, step := range s.Steps {
		s.weaken(step.Findings)
		step.Verdict = step.Findings.Verdict()
		s.Verdict = s.Verdict.And(step.Verdict)
	}
}

// weaken makes failures inconclusive that a missing step or packet may explain.
func (s *session) weaken(findings result.Findings) {
	for i := range findings {
		f := &findings[i]
		if f.Verdict != result.Fail {
			continue
		}
		replayed := slices.Contains([]string{"verdict", "not_asked", "end"}, f.Code)
		measured := slices.Contains([]string{"interval", "abandoned", "wrong_id", "wrong_session", "two_replies"}, f.Code)
		switch {
		case replayed && (s.mayLack || s.unclear):
			f.Weaken("steps may be missing")
		case measured && s.mayLack:
			f.Weaken("packets are missing")
		case (replayed || measured || f.Code == "procedure") && s.several:
			f.Weaken("over TLS the agent may have several sessions of this name")
		}
	}
}
