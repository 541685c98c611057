package verify

import (
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/client/verify/match"
)

// A crowd is sessions without names from one address that overlap in time. Steps of one client may
// be taken for those of another, so a missing step may be of any.
type crowd struct {
	sessions int
	until    time.Time
}

// findMissing finds which sessions lack steps, or may lack them or have steps of other clients.
func (e *evidence) findMissing() {
	latest := map[hostPair]*crowd{}
	of := map[*session]*crowd{}
	for _, s := range e.sessions { // by their first steps
		if s.Named || s.oneConn() {
			continue
		}
		key := hostPair{s.Agent, s.Client.Addr()}
		c := latest[key]
		if c == nil || s.steps[0].exchange.Sent().After(c.until) {
			c = &crowd{}
			latest[key] = c
		}
		c.sessions++
		c.until = match.Later(c.until, s.steps[len(s.steps)-1].exchange.Sent())
		of[s] = c
	}
	first := e.opts.Judge.First()
	for _, s := range e.sessions {
		c := of[s]
		crowded := c != nil && c.sessions > 1
		s.startsLate = s.beganBefore(first) || len(s.steps[0].exchange.Hidden) > 0
		for _, step := range s.steps {
			s.hidden += len(step.exchange.Hidden)
			s.contradicted = s.contradicted || !step.exchange.Explained(false)
		}
		s.sure = s.hidden == 0 && s.hasAllSteps(first)
		simple := e.opts.Simple
		s.unclear = s.hidden > 0 || s.contradicted && (!s.sure && (!simple || e.exhausted) || crowded || !simple && !s.timesKnown())
		s.mixed = c != nil && (!s.sure || crowded)
		s.several = s.Named && s.contradicted && e.mayBeSeveral(s)
	}
}

// mayBeSeveral reports whether a session came over several connections, one with TLS: the agent keeps
// a session of one name for each identity, and the certificates of clients are not read.
func (e *evidence) mayBeSeveral(s *session) bool {
	return !s.oneConn() && slices.ContainsFunc(s.steps, func(step *step) bool { return e.overTLS[step.exchange.Conn.TCP] })
}

// promptly bounds the travel time of a packet over a fast link.
const promptly = 5 * time.Millisecond

// timesKnown reports whether the times of the packets are those at which the agent received the
// steps and sent the replies, for validators that judge by times.
func (s *session) timesKnown() bool {
	return !slices.ContainsFunc(s.steps, func(step *step) bool {
		return !step.exchange.CertainTimes() || step.exchange.Conn.RoundTrip() > promptly
	})
}

// hasAllSteps reports whether no step before the last can be missing: the connections are
// complete, and there is one from the beginning of the session, or the agent marked its end.
func (s *session) hasAllSteps(begins judge.Expectation) bool {
	for _, step := range s.steps {
		if !step.exchange.Conn.Complete() {
			return false
		}
		if r := step.exchange.Reply(); r != nil && r.End && step.exchange.Ends && !s.contradicted {
			return true
		}
	}
	first := s.steps[0].exchange
	fresh := begins.Known && first.Bad == nil && first.Request.StepID == begins.StepID
	return s.oneConn() && (fresh || first.Request.Session == "" && first.Index > 0)
}

// beganBefore reports whether the session began before the capture: the agent passed a first step
// that begins no session.
func (s *session) beganBefore(begins judge.Expectation) bool {
	first := s.steps[0].exchange
	if !begins.Known || first.Bad != nil || first.Request.StepID == begins.StepID {
		return false
	}
	if first.Conn.ToAgent.Started && first.Request.Session == "" && first.Index > 0 {
		return false // the capture has its connection from the beginning
	}
	for _, step := range s.steps {
		if r := step.exchange.Reply(); r != nil {
			return r.OK()
		}
	}
	return false
}
