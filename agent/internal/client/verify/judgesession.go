package verify

import (
	"fmt"
	"net/netip"

	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// judgeSession judges the steps of a session, and the intervals between them.
func (v *verifier) judgeSession(s *Session) {
	switch {
	case s.late:
		s.find(Inconclusive, "began_before", s.Steps[0].Request.First, fmt.Sprintf(
			"the session began before the capture: its first step here is %s, so that the validators cannot judge it again", s.Steps[0].name()))
	case s.hidden > 0:
		s.find(Inconclusive, "steps_missing", 0, fmt.Sprintf("the replies tell of %s, or more, that are not in the capture", count(s.hidden, "step")))
	}
	v.gaps(s)
	if s.wrong && !s.Named && !s.onOne() && !v.paced(s) {
		s.unclear = true // the steps of two clients may have been taken for those of one
	}
	s.doubt = v.doubtful(s)
	for _, step := range s.Steps {
		v.judgeStep(step, s.late)
	}
	v.judgeEnd(s)
	s.conclude()
}

// paced reports whether all gaps of a session are as declared, as those of one client are.
func (v *verifier) paced(s *Session) bool {
	for _, step := range s.Steps {
		if off := step.gap - step.interval; step.hasGap && step.hasWait && (off < -v.opts.Tolerances.Early || off > v.lateBy(step)) {
			return false
		}
	}
	return true
}

// conclude makes one verdict of what was found out about the session and its steps.
func (s *Session) conclude() {
	s.weaken(s.Findings)
	s.Verdict = verdictOf(s.Findings)
	for _, step := range s.Steps {
		s.weaken(step.Findings)
		step.Verdict = verdictOf(step.Findings)
		s.Verdict = s.Verdict.and(step.Verdict)
	}
}

// between is an agent and the host of its clients.
type between struct {
	agent netip.AddrPort
	host  netip.Addr
}

// doubtful reports whether steps of the session may be missing: in the connections of its
// client, or in the capture as a whole.
func (v *verifier) doubtful(s *Session) bool {
	if v.partial == nil {
		v.partial = map[between]bool{}
		for _, d := range v.dialogs {
			if !d.whole() {
				v.partial[between{d.agent, d.client.Addr()}] = true
			}
		}
	}
	return v.lossy || v.partial[between{s.Agent, s.Client.Addr()}]
}

// weaken makes what fails inconclusive where a step or a packet that is missing might explain
// it.
func (s *Session) weaken(findings []Finding) {
	for i := range findings {
		f := &findings[i]
		if f.Verdict != Fail {
			continue
		}
		switch f.Code {
		case "verdict", "not_asked", "end":
			if s.doubt || s.unclear {
				f.soften("steps may be missing")
			}
		case "interval", "abandoned", "wrong_id", "wrong_session", "two_replies":
			if s.doubt {
				f.soften("packets are missing")
			}
		}
	}
}

func (f *Finding) soften(why string) {
	f.Verdict = Inconclusive
	f.Text += "; but " + why
}

// judgeEnd says whether there may be more of a session than the capture has. That its
// connection was closed does not tell: a client may open one for each step, or another one.
func (v *verifier) judgeEnd(s *Session) {
	last := s.Steps[len(s.Steps)-1]
	said := fmt.Sprintf("%s of %d", count(len(s.Steps), "step"), v.opts.Session.Steps)
	switch closed := last.exchange.dialog.closed(); {
	case s.Complete || s.late:
	case closed.IsZero():
		s.find(Inconclusive, "cut", last.Request.Packet, "the capture ends before the session does: after "+said+", with its connection open")
	case v.ended(s):
		s.find(Pass, "incomplete", last.Request.Packet, "the client left the session after "+said)
	default:
		s.find(Inconclusive, "incomplete", last.Request.Packet, "the capture shows "+said+
			", and not whether the client sent more; if that was all, say so with --steps or --record")
	}
}

// ended reports whether something says that the last step of a session in the capture was the
// last that its client sent: the procedure, the record, or the comment that closes a capture.
func (v *verifier) ended(s *Session) bool {
	v.chains()
	if s.chain.sessions[len(s.chain.sessions)-1] != s {
		return false
	}
	steps := 0
	for _, step := range s.chain.steps {
		if step.Outcome != Unjudged {
			steps++
		}
	}
	if p := v.opts.Procedure; p != nil && steps%len(p.Steps) == 0 {
		return true
	}
	mine := func(session string) bool {
		return session != "" && session == s.ID || session == "" && len(v.report.Sessions) == 1
	}
	if r := v.run; r != nil && !r.Cut() && mine(r.Start.Session) && steps >= len(r.Steps)-r.Counts[record.NotRun] {
		return true
	}
	for _, comment := range v.capture.Comments {
		if _, session, ok := parseComment(comment); ok && mine(session) {
			return true
		}
	}
	return false
}
