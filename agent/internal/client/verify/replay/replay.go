// Package replay has the agent's own session code and validators judge the exchanges of a
// capture again, on the times of the packets. What the packets leave open, such as whether a
// step without a reply was judged, it assumes so that the replies are explained.
package replay

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/client/verify/match"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// A Result is what the replay of all agents of a capture found.
type Result struct {
	// Agents are in the order of their first connections.
	Agents []netip.AddrPort
	Steps  []*Step
	// Exhausted says that not every assumption that might explain a reply was tried.
	Exhausted bool
}

// Run replays the agents of the connections. Home maps agents that share their sessions to one of them, and
// each other agent to itself. After ctx is done the result is not usable.
func Run(ctx context.Context, conns []*match.Conn, home func(netip.AddrPort) netip.AddrPort, validators session.Judge, opts session.Options) *Result {
	opts.TakeoverWait = 0 // the packets tell which connections are closed
	r := &Result{}
	events := map[netip.AddrPort][]event{}
	var homes []netip.AddrPort
	for _, c := range conns {
		if !slices.Contains(r.Agents, c.Agent) {
			r.Agents = append(r.Agents, c.Agent)
		}
		at := home(c.Agent)
		if _, known := events[at]; !known {
			homes = append(homes, at)
		}
		steps := make([]*Step, len(c.Exchanges))
		for i, e := range c.Exchanges {
			steps[i] = &Step{Exchange: e}
		}
		r.Steps = append(r.Steps, steps...)
		events[at] = append(events[at], eventsOf(c, steps)...)
	}
	for _, at := range homes {
		all := events[at]
		slices.SortStableFunc(all, func(a, b event) int { return a.at.Compare(b.at) })
		s := newSearch(ctx, &agentReplay{validators: validators, opts: opts, events: all})
		s.findSkipped()
		s.findHidden()
		r.Exhausted = r.Exhausted || s.unexplained > 0 && s.exhausted()
	}
	return r
}

// An event is a step that an agent judged, or the end of a connection (step is nil).
type event struct {
	at   time.Time
	conn *match.Conn
	step *Step
}

// eventsOf returns what the agent saw of a connection. A step is judged by the time of its
// reply and before the next step of the connection; one without a reply when it arrives.
func eventsOf(c *match.Conn, steps []*Step) []event {
	var all []event
	for _, s := range steps {
		if s.Bad != nil {
			continue
		}
		at := s.Message.End.Time
		if r := s.Reply(); r != nil {
			at = r.Message.End.Time
		}
		all = append(all, event{at: at, conn: c, step: s})
	}
	for i := len(all) - 2; i >= 0; i-- {
		if all[i+1].at.Before(all[i].at) {
			all[i].at = all[i+1].at
		}
	}
	last := c.TCP.First.Time
	for i := range all {
		last = match.Later(last, all[i].at)
		all[i].at = last
	}
	if closed := c.Closed(); !closed.IsZero() {
		all = append(all, event{at: match.Later(last, closed), conn: c})
	}
	return all
}

// An agentReplay replays the events of one agent, as often as assumptions are tried.
type agentReplay struct {
	validators session.Judge
	opts       session.Options
	events     []event
}

// run replays the events once and notes in each step what it finds.
func (a *agentReplay) run(ctx context.Context) {
	clock := &clock{}
	rec := &recorder{validators: a.validators, expects: map[string]judge.Expectation{}, byReq: map[protocol.ReqID][]*Step{}}
	manager := session.NewManagerAt(clock, rec, a.opts, slog.New(slog.DiscardHandler))
	defer manager.Close()
	conns := map[*match.Conn]*session.Conn{}
	for _, ev := range a.events {
		if ctx.Err() != nil {
			return
		}
		clock.advance(ev.at)
		conn := conns[ev.conn]
		if conn == nil {
			conn = manager.Connect(session.Peer{Addr: ev.conn.Client})
			conns[ev.conn] = conn
		}
		if ev.step == nil {
			conn.Close()
			continue
		}
		s := ev.step
		s.Session, s.Asked, s.Position = "", false, 0
		for _, id := range s.Hidden {
			request := protocol.Request{StepID: id, Session: s.Request.Session}
			rec.step = &Step{Exchange: &match.Exchange{Conn: s.Conn, Request: request}}
			conn.Do(ctx, request, s.Message.End.Time)
		}
		rec.step = s
		answer := conn.Do(ctx, s.Request, s.Message.End.Time)
		s.Replayed, s.Refusal, s.Ends = answer.Replayed, answer.Reply, answer.Reply.End
		if answer.Replayed {
			rec.copyFirst(s)
		}
	}
}

// A recorder passes the steps of a replay to the validators and notes what they say.
type recorder struct {
	validators session.Judge
	step       *Step
	// byReq are the judged steps, and expects is the next step of each session.
	byReq   map[protocol.ReqID][]*Step
	expects map[string]judge.Expectation
}

// Judge asks the validators. A step that the agent did not judge takes no position here either.
func (r *recorder) Judge(ctx context.Context, in judge.Session, step judge.Step) judge.Judgement {
	s := r.step
	s.Session, s.Position, s.Asked = in.ID, in.Position+1, true
	s.Slot, _, _ = strings.Cut(in.ID, "#")
	if s.Request.Session != "" {
		s.Slot = in.ID
	}
	if s.expected = r.expects[in.ID]; in.Position == 0 {
		s.expected = r.First()
	}
	s.Judgement = r.validators.Judge(ctx, in, step)
	if !s.Request.Req.IsZero() {
		r.byReq[s.Request.Req] = append(r.byReq[s.Request.Req], s)
	}
	if reply := s.Reply(); s.Skipped || reply != nil && reply.Reason.AgentsOwn() {
		return judge.Judgement{Outcome: validator.Undecided, Memory: in.Memory}
	}
	r.expects[in.ID] = s.Judgement.Expects
	return s.Judgement
}

// Try has no verdict ready.
func (r *recorder) Try(judge.Session, judge.Step) (judge.Judgement, bool) {
	return judge.Judgement{}, false
}

// First returns the step that begins a session.
func (r *recorder) First() judge.Expectation { return r.validators.First() }

// copyFirst gives a repeated request what was found of the first.
func (r *recorder) copyFirst(s *Step) {
	for _, first := range slices.Backward(r.byReq[s.Request.Req]) {
		if first.Request.Session == s.Request.Session {
			s.Session, s.Slot, s.Position, s.Judgement = first.Session, first.Slot, first.Position, first.Judgement
			return
		}
	}
}
