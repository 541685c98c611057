package verify

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// collect puts the exchanges into their sessions, in the order in which they were sent.
func (v *verifier) collect() {
	slices.SortStableFunc(v.exchanges, func(a, b *exchange) int {
		return a.message.begin.Time.Compare(b.message.begin.Time)
	})
	type key struct{ agent, id string }
	known := map[key]*Session{}
	v.steps = map[*exchange]*Step{}
	for _, e := range v.exchanges {
		step := v.newStep(e)
		v.steps[e] = step
		if e.session == "" {
			v.report.Outside = append(v.report.Outside, step)
			continue
		}
		k := key{e.dialog.agent.String(), e.session}
		s := known[k]
		if s == nil || s.Complete && !e.replayed {
			s = &Session{ID: e.session, Agent: e.dialog.agent, Client: e.dialog.client, seat: e.seat,
				Named: e.request.Session != "", Summary: []string{}, Findings: []Finding{}}
			known[k] = s
			v.report.Sessions = append(v.report.Sessions, s)
		}
		step.session = s
		s.Steps = append(s.Steps, step)
		s.Complete = s.Complete || e.ends
	}
	v.crowds()
	if v.opts.Procedure != nil {
		for _, c := range v.chains() {
			c.give(v.opts.Procedure)
		}
	}
	for _, s := range v.steps {
		v.outcome(s)
		if s.hasTime {
			s.Timeout = seconds(s.timeout)
		}
		if s.hasWait {
			s.Interval = seconds(s.interval)
		}
	}
}

// noteRepeats marks the requests that were answered from memory.
func (v *verifier) noteRepeats(s *Session) {
	first := map[protocol.ReqID]int{} // the packet of each request
	for _, step := range s.Steps {
		if req := step.exchange.req(); !step.exchange.replayed {
			if first[req] == 0 {
				first[req] = step.Request.Packet
			}
			continue
		}
		step.RepeatOf = first[step.exchange.req()]
	}
}

// lookForMissing says whether steps of a session are missing, or can be. crowded says that there
// are others without a name at its address.
func (v *verifier) lookForMissing(s *Session, crowded bool) {
	s.late = v.beganBefore(s)
	wrong := false
	for i, step := range s.Steps {
		e := step.exchange
		s.hidden += len(e.hidden)
		s.late = s.late || i == 0 && len(e.hidden) > 0
		wrong = wrong || e.disagrees() != "" || e.refusedHere() || e.endsElsewhere(false)
	}
	s.wrong = wrong
	s.sure = s.hidden == 0 && v.certain(s)
	s.unclear = s.hidden > 0 || wrong && !s.sure && (!v.opts.Simple || v.guessed || crowded) ||
		wrong && (!v.opts.Simple && !s.timed() || crowded)
}

// onOne reports whether all steps of a session came over one connection.
func (s *Session) onOne() bool {
	for _, step := range s.Steps {
		if step.exchange.dialog != s.Steps[0].exchange.dialog {
			return false
		}
	}
	return true
}

// timed reports whether the times at which the steps came to the agent, and were answered, are
// those of the packets: validators that judge by times need them.
func (s *Session) timed() bool {
	for _, step := range s.Steps {
		if !step.certainTime() || step.exchange.dialog.trip() > soon {
			return false
		}
	}
	return true
}

// soon is how long a packet may be under way that comes at once.
const soon = 5 * time.Millisecond

// certain reports whether no step of a session can be missing before the last that is there:
// its connections are whole, and it is on one from its beginning, or the agent says that it had
// all its steps.
func (v *verifier) certain(s *Session) bool {
	one := true
	first := s.Steps[0].exchange
	for _, step := range s.Steps {
		d := step.exchange.dialog
		if !d.whole() {
			return false
		}
		one = one && d == first.dialog
		if a := step.exchange.reply(); a != nil && a.reply.End && step.exchange.ends && !s.wrong {
			return true
		}
	}
	begins := v.opts.Judge.First()
	fresh := begins.Known && first.bad == nil && first.request.StepID == begins.StepID
	return one && (fresh || first.request.Session == "" && first.index > 0)
}

// A crowd is sessions without names of one address that overlap in time. Whose step one was that
// is missing there is no telling, and the steps of one client may be taken for those of another.
type crowd struct {
	sessions int
	until    time.Time
}

// crowds looks for missing steps in every session, and notes which sessions may have steps of
// other clients.
func (v *verifier) crowds() {
	latest := map[between]*crowd{}
	of := map[*Session]*crowd{}
	for _, s := range v.report.Sessions { // in the order in which they began
		v.noteRepeats(s)
		if s.Named || s.onOne() {
			continue
		}
		key := between{s.Agent, s.Client.Addr()}
		c := latest[key]
		if c == nil || s.Steps[0].exchange.message.begin.Time.After(c.until) {
			c = &crowd{}
			latest[key] = c
		}
		c.sessions++
		c.until = later(c.until, s.Steps[len(s.Steps)-1].exchange.message.begin.Time)
		of[s] = c
	}
	for _, s := range v.report.Sessions {
		c := of[s]
		v.lookForMissing(s, c != nil && c.sessions > 1)
		s.mixed = c != nil && (!s.sure || c.sessions > 1)
	}
}

// beganBefore reports whether the session had steps before the capture began: the agent
// passed a first step that is not the first of any session. The client of such a session has
// told no lie.
func (v *verifier) beganBefore(s *Session) bool {
	first := s.Steps[0].exchange
	expects := v.opts.Judge.First()
	if !expects.Known || first.bad != nil || first.request.StepID == expects.StepID {
		return false
	}
	if first.dialog.up.Started && first.request.Session == "" && len(first.dialog.exchanges) > 0 && first.dialog.exchanges[0] != first {
		return false // its connection began before it, and is in the capture
	}
	for _, step := range s.Steps {
		if a := step.exchange.reply(); a != nil {
			return a.reply.OK()
		}
	}
	return false
}

// newStep says what the messages of an exchange hold.
func (v *verifier) newStep(e *exchange) *Step {
	s := &Step{
		StepID: e.id(), Position: e.position, Request: messageOf(e.message), Req: e.req().String(),
		Findings: []Finding{}, exchange: e, Outcome: Unanswered,
	}
	if e.bad == nil {
		s.timeout, s.hasTime = e.request.Timeout.Duration, e.request.Timeout.Declared
		s.interval, s.hasWait = e.request.Interval.Duration, e.request.Interval.Declared
	}
	if a := e.reply(); a != nil {
		m := messageOf(a.message)
		s.Reply, s.Code = &m, &a.reply.ErrorCode
		s.Reason, s.Detail = string(a.reply.Reason), a.reply.Detail
		s.response = a.message.end.Time.Sub(e.message.begin.Time)
		s.Response = seconds(s.response)
	}
	if e.asked || e.replayed {
		s.Now = &Now{Outcome: e.now.Outcome.String(), Reason: string(e.now.Reason), Detail: e.now.Detail, By: e.now.By}
		if e.now.Fault != nil {
			s.Now.Fault = e.now.Fault.Kind.String()
		}
	}
	return s
}

func messageOf(m message) Message {
	return Message{First: m.begin.Packet, Packet: m.end.Packet, Time: m.end.Time, Text: strings.ToValidUTF8(string(m.raw), "\uFFFD")}
}

// disagrees says how the reply is another one than the validators would have the agent send
// now; empty when it is not, or when there is nothing to compare.
func (e *exchange) disagrees() string {
	a := e.reply()
	if a == nil || !e.asked && !e.replayed || a.reply.Reason.AgentsOwn() {
		return ""
	}
	said, now := "NOK", "pass"
	if a.reply.ErrorCode == 0 {
		said = "OK"
	}
	said += space(string(a.reply.Reason))
	passed := a.reply.OK()
	switch e.now.Outcome {
	case validator.Pass:
		if passed {
			return ""
		}
	case validator.Fail:
		now = "fail" + space(string(e.now.Reason))
		// Agents older than protocol 1 give no reason.
		if !passed && (a.reply.Reason == "" || string(a.reply.Reason) == string(e.now.Reason)) {
			return ""
		}
	default:
		return ""
	}
	return "the agent said " + said + ", the validators say " + now + cmp.Or(colon(e.now.Detail), "")
}

func space(text string) string {
	if text == "" {
		return ""
	}
	return " " + text
}

func colon(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}
