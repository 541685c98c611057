package verify

import (
	"fmt"
	"net/netip"
)

// judgeSession judges the steps of a session, and the intervals between them.
func (v *verifier) judgeSession(s *Session) {
	if s.late {
		s.find(Inconclusive, "began_before", s.Steps[0].Request.First, fmt.Sprintf(
			"the session began before the capture: its first step here is %s, so that the validators cannot judge it again", s.Steps[0].name()))
	}
	v.gaps(s.Steps)
	s.doubt = v.doubtful(s)
	for _, step := range s.Steps {
		v.judgeStep(step, s.late)
	}
	v.judgeEnd(s)
	s.conclude()
}

// conclude makes one verdict of what was found out about the session and its steps.
func (s *Session) conclude() {
	if s.doubt {
		weaken(s.Findings)
	}
	s.Verdict = verdictOf(s.Findings)
	for _, step := range s.Steps {
		if s.doubt {
			weaken(step.Findings)
		}
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

// weaken makes what fails inconclusive where a step that is missing might explain it.
func weaken(findings []Finding) {
	for i := range findings {
		switch f := &findings[i]; f.Code {
		case "verdict", "not_asked", "end", "interval", "abandoned", "procedure", "procedure_short", "wrong_id":
			if f.Verdict == Fail {
				f.Verdict = Inconclusive
				f.Text += "; but packets are missing"
			}
		}
	}
}

// judgeEnd says whether there may be more of a session than the capture has. A session that
// its client has left is not complete, and nothing is missing.
func (v *verifier) judgeEnd(s *Session) {
	last := s.Steps[len(s.Steps)-1]
	switch closed := last.exchange.dialog.closed(); {
	case s.Complete || s.late:
	case closed.IsZero():
		s.find(Inconclusive, "cut", last.Request.Packet, fmt.Sprintf("the capture ends before the session does: after %s of %d, with its connection open",
			count(len(s.Steps), "step"), v.opts.Session.Steps))
	default:
		s.find(Pass, "incomplete", last.Request.Packet, fmt.Sprintf("the client left the session after %s of %d",
			count(len(s.Steps), "step"), v.opts.Session.Steps))
	}
}
