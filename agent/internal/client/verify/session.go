package verify

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/verify/match"
	"github.com/stepagent/stepagent/agent/internal/client/verify/replay"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A step is a step of a report and what it was made of.
type step struct {
	*result.Step
	exchange *replay.Step
	session  *session // nil for none
	// timeout and interval are those of the request, else those of the procedure.
	timeout, interval protocol.Wait
	response          time.Duration
	// endedAfter is when a step without a reply ended, gaveUp what its client did then.
	endedAfter time.Duration
	gaveUp     string
	// unsure says why the outcome is not known.
	unsure string
	// settled is when the client was done with the step; zero when not known.
	settled time.Time
	// pause is the time until the next step; nil when not known.
	pause *pause
}

func newStep(x *replay.Step) *step {
	s := &step{exchange: x, timeout: x.Request.Timeout, interval: x.Request.Interval, Step: &result.Step{
		StepID: x.StepID(), Position: x.Position, Request: messageOf(x.Message), Req: x.Req().String(),
		Findings: result.Findings{}, Outcome: result.Unanswered,
	}}
	if x.Bad != nil {
		s.timeout, s.interval = protocol.Wait{}, protocol.Wait{}
	}
	if r := x.Reply(); r != nil {
		m := messageOf(r.Message)
		s.Reply, s.Code = &m, &r.ErrorCode
		s.Reason, s.Detail = string(r.Reason), r.Detail
		s.response = r.Message.End.Time.Sub(x.Sent())
		s.Response = secondsOf(protocol.Seconds(s.response))
	}
	if j := x.Judgement; x.Asked || x.Replayed {
		s.Now = &result.Now{Outcome: j.Outcome.String(), Reason: string(j.Reason), Detail: j.Detail, By: j.By}
		if j.Fault != nil {
			s.Now.Fault = j.Fault.Kind.String()
		}
	}
	return s
}

func messageOf(m match.Message) result.Message {
	return result.Message{First: m.Begin.Packet, Packet: m.End.Packet, Time: m.End.Time, Text: strings.ToValidUTF8(string(m.Raw), "\uFFFD")}
}

// secondsOf returns a wait in seconds; nil when it is absent.
func secondsOf(w protocol.Wait) *float64 {
	if !w.Declared {
		return nil
	}
	s := w.Duration.Seconds()
	return &s
}

// complete takes the times that the request does not declare from the step of the procedure.
func (s *step) complete(from stepfile.Step) {
	if s.StepID == nil || *s.StepID != from.ID {
		return
	}
	if !s.timeout.Declared {
		s.timeout = protocol.Seconds(from.Timeout)
	}
	if !s.interval.Declared {
		s.interval, s.IntervalGiven = protocol.Seconds(from.Interval), true
	}
}

// began returns when the client went on with the step after a time: when it sent the request, or
// opened the connection for it.
func (s *step) began(after time.Time) time.Time {
	if s.openedConn(after) {
		return s.exchange.Conn.TCP.Opened.Time
	}
	return s.exchange.Sent()
}

// openedConn reports whether the client opened the connection for the step, after a time.
func (s *step) openedConn(after time.Time) bool {
	return s.exchange.Index == 0 && s.exchange.Conn.TCP.Opened.Time.After(after)
}

// A session is a session of a report and what is known of its completeness.
type session struct {
	*result.Session
	steps []*step
	slot  string
	chain *chain
	// hidden counts steps that the replay assumes and the capture lacks.
	hidden int
	// startsLate says that the session began before the capture; mayLack that packets of it may be
	// missing; sure that no step before the last can be.
	startsLate, mayLack, sure bool
	// contradicted says that there are replies that the validators do not give, unclear that
	// missing steps might explain them, mixed that it may have steps of another client.
	contradicted, unclear, mixed bool
	// several says that it is contradicted and may be sessions of several identities.
	several bool
	// slow says that the client took longer than declared after each of several steps.
	slow bool
}

func newSession(first *replay.Step) *session {
	return &session{slot: first.Slot, Session: &result.Session{
		ID: first.Session, Agent: first.Conn.Agent, Client: first.Conn.Client, Named: first.Request.Session != "",
		Summary: []string{}, Findings: result.Findings{},
	}}
}

func (s *session) add(step *step) {
	step.session = s
	s.steps, s.Steps = append(s.steps, step), append(s.Steps, step.Step)
	s.Complete = s.Complete || step.exchange.Ends
}

// markRepeats marks the requests that were answered from the replay cache.
func (s *session) markRepeats() {
	first := map[protocol.ReqID]int{} // the packet of each request
	for _, step := range s.steps {
		req := step.exchange.Req()
		switch {
		case step.exchange.Replayed:
			step.RepeatOf = first[req]
		case first[req] == 0:
			first[req] = step.Request.Packet
		}
	}
}

// markAgain marks the requests that the client sent again, with the same req, because they got no
// verdict.
func (s *session) markAgain() {
	latest := map[protocol.ReqID]*step{}
	for _, step := range s.steps {
		req := step.exchange.Req()
		if req.IsZero() {
			continue
		}
		if before := latest[req]; before != nil && (before.Reply == nil || before.Outcome == result.Unjudged) {
			before.AgainIn = step.Request.Packet
		}
		latest[req] = step
	}
}

// noteAgents notes the further agents at which the client went on with the session.
func (s *session) noteAgents() {
	known := map[netip.AddrPort]bool{s.Agent: true}
	for _, step := range s.steps {
		if agent := step.exchange.Conn.Agent; !known[agent] {
			known[agent] = true
			s.Findings.Add(result.Pass, "other_agent", step.Request.Packet, "the client went on with this session at %s", agent)
		}
	}
}

// oneConn reports whether all steps came over one connection.
func (s *session) oneConn() bool {
	return !slices.ContainsFunc(s.steps, func(step *step) bool { return step.exchange.Conn != s.steps[0].exchange.Conn })
}
