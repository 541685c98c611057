package report

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A Part divides the client's wait for a reply. The other fields add up to Waited.
type Part struct {
	Waited     time.Duration `json:"waited"`      // the client's wait for the reply
	Link       time.Duration `json:"link"`        // the rest: the network both ways, and tries without a verdict
	Queue      time.Duration `json:"agent_queue"` // waiting for the session's turn and for a validator process
	Validators time.Duration `json:"validators"`  // judging by the slowest group of validators
	Fault      time.Duration `json:"fault"`       // delay by fault injection
	Agent      time.Duration `json:"agent"`       // the rest of the agent's time: reading, deciding and writing
	Away       time.Duration `json:"away"`        // until the step was sent again: record.StepResult.AwayInTook
}

func (p *Part) add(q Part) {
	p.Waited += q.Waited
	p.Link += q.Link
	p.Queue += q.Queue
	p.Validators += q.Validators
	p.Fault += q.Fault
	p.Agent += q.Agent
	p.Away += q.Away
}

// A View is one step as the agent recorded it.
type View struct {
	Part
	// Known says that the agent's record has the step.
	Known bool `json:"-"`
	// Whole says that the client received the reply. Otherwise Waited, Link and Away are 0.
	Whole bool `json:"whole"`
	// ErrorCode and Reason are the agent's verdict, which may not have reached the client.
	ErrorCode int    `json:"error_code"`
	Reason    string `json:"reason,omitempty"`
	FaultKind string `json:"fault_kind,omitempty"` // the injected fault; empty for none
	Arrivals  int    `json:"arrivals"`             // how often the request came; repetitions are answered from the replay cache
	// Generation is that of the validators.
	Generation uint64 `json:"generation,omitempty"`
}

// A Split says where the time of a run went, from the records of client and agent.
type Split struct {
	Steps     []View        `json:"-"`       // one for each step of the run, in order
	Total     Part          `json:",embed"`  // the sum over the steps whose view is whole
	Counted   int           `json:"counted"` // the number of those steps
	Intervals time.Duration `json:"intervals"`
	Between   time.Duration `json:"between"` // other time between steps: own work, and tries to send a step
	Dropped   uint64        `json:"dropped"` // events that the agent's record lacks
	// Restarts counts how often the agent stopped or was killed during the run and went on with the
	// session, and Away is for how long it was away in all: after a kill, since its last step.
	Restarts int           `json:"agent_restarts,omitempty"`
	Away     time.Duration `json:"agent_away,omitempty"`
	Versions []string      `json:"versions"` // of the agents that wrote the record
	// Identity is the client's as the agent recorded it: that of its certificate; empty for none.
	Identity string `json:"identity,omitempty"`
}

// Join matches the steps of a run with the agent's record of its session, by the req of each
// request. It compares durations only, so the two clocks need not agree.
func Join(run record.Run, found auditlog.SessionEvents) (*Split, error) {
	if run.Start.Session == "" {
		return nil, errors.New("the run names no session and no requests, so the agent's record cannot be joined; run without --plain")
	}
	if len(found.Steps) == 0 {
		return nil, fmt.Errorf("the agent's record has no step of session %s; is it that of the right agent and time?", logging.Clean(run.Start.Session))
	}
	split := &Split{Dropped: found.Dropped}
	byReq := eventsOf(run, found.Steps)
	split.addAbsences(byReq, found.Absences)
	for _, events := range byReq {
		split.Identity = events[0].Identity
	}
	for _, o := range found.Opens {
		split.Versions = append(split.Versions, "stepagent "+o.Agent)
	}
	spent := time.Duration(0)
	for _, step := range run.Steps {
		view := viewOf(step, byReq[step.Req])
		if view.Whole {
			split.Counted++
			split.Total.add(view.Part)
		}
		split.Steps = append(split.Steps, view)
		split.Intervals += step.Kept.Duration
		spent += step.Took + step.Kept.Duration
	}
	split.Between = max(run.Duration-spent, 0)
	return split, nil
}

// addAbsences adds up the times without an agent between the steps of the run.
func (s *Split) addAbsences(byReq map[protocol.ReqID][]auditlog.StepEvent, all []auditlog.Absence) {
	var session string
	var first, last time.Time
	for _, events := range byReq {
		for _, e := range events {
			session = e.Session
			if first.IsZero() || e.Arrived.Before(first) {
				first = e.Arrived
			}
			if e.Arrived.After(last) {
				last = e.Arrived
			}
		}
	}
	for _, a := range all {
		if a.Session == session && !a.To.Before(first) && !a.From.After(last) {
			s.Restarts++
			s.Away += max(a.To.Sub(a.From), 0)
		}
	}
}

// eventsOf returns the events of the run by req: those of the session that has most of the run's
// requests. Clients with other identities or addresses may have used its name.
func eventsOf(run record.Run, all []auditlog.StepEvent) map[protocol.ReqID][]auditlog.StepEvent {
	sent := map[protocol.ReqID]bool{}
	for _, step := range run.Steps {
		sent[step.Req] = !step.Req.IsZero()
	}
	bySession := map[string]map[protocol.ReqID][]auditlog.StepEvent{}
	most := ""
	for _, e := range all {
		if !sent[e.Req] {
			continue
		}
		events := bySession[e.Session]
		if events == nil {
			events = map[protocol.ReqID][]auditlog.StepEvent{}
			bySession[e.Session] = events
		}
		events[e.Req] = append(events[e.Req], e)
		if len(events) > len(bySession[most]) {
			most = e.Session
		}
	}
	return bySession[most]
}

// viewOf returns the view of a step from the events that have its req.
func viewOf(step record.StepResult, events []auditlog.StepEvent) View {
	if step.Req.IsZero() || len(events) == 0 {
		return View{}
	}
	judged := events[max(slices.IndexFunc(events, hasVerdict), 0)]
	v := View{Known: true, ErrorCode: judged.ErrorCode, Reason: judged.Reason, FaultKind: judged.Fault,
		Arrivals: len(events), Generation: judged.Generation}
	var slowest auditlog.Group
	for _, g := range judged.Groups {
		if g.Took >= slowest.Took {
			slowest = g
		}
	}
	v.Queue = time.Duration(judged.Turn + slowest.Queue)
	v.Validators = max(time.Duration(slowest.Took-slowest.Queue), 0)
	v.Agent = max(time.Duration(judged.Judged)-v.Queue-v.Validators, 0)
	if judged.Replied == nil {
		return v
	}
	written := max(time.Duration(*judged.Replied-judged.Judged), 0)
	if judged.Fault != "" {
		v.Fault = written
	} else {
		v.Agent += written
	}
	switch {
	case step.Late != nil:
		v.Waited, v.Whole = step.Late.Took, true
	case step.Reply != nil:
		v.Waited, v.Whole = step.Took, true
	default:
		return v
	}
	v.Away = step.AwayInTook
	// The client may receive the reply before the agent has noted that it is written.
	v.Link = v.Waited - v.Away - time.Duration(*judged.Replied)
	if v.Link < 0 {
		v.reduce(-v.Link)
		v.Link = 0
	}
	return v
}

// hasVerdict reports whether the request was judged when it came. It may have come before, to an agent
// that could not judge or store it.
func hasVerdict(e auditlog.StepEvent) bool {
	reason := protocol.Reason(e.Reason)
	return !e.Replayed && (reason == "" || slices.Contains(protocol.Judged(), reason))
}

// reduce subtracts from the agent's parts what they exceed the client's wait by, first from those
// that are remainders and not measured.
func (p *Part) reduce(over time.Duration) {
	for _, part := range []*time.Duration{&p.Agent, &p.Fault, &p.Queue, &p.Validators} {
		cut := min(*part, over)
		*part -= cut
		over -= cut
	}
}

// Sentence says in one sentence where the time went.
func (s *Split) Sentence() string {
	t := s.Total
	text := fmt.Sprintf("where the time of %s went: link %s, agent queue %s, validators %s, agent %s",
		phrase.Count(s.Counted, "reply"), Span(t.Link), Span(t.Queue), Span(t.Validators), Span(t.Agent))
	if t.Fault > 0 {
		text += ", injected delay " + Span(t.Fault)
	}
	if t.Away > 0 {
		text += ", agent away " + Span(t.Away)
	}
	text += fmt.Sprintf("; the client waited %s in intervals and spent %s between steps", Span(s.Intervals), Span(s.Between))
	if s.Restarts > 0 {
		text += fmt.Sprintf("; the agent was away %s for %s", phrase.Count(s.Restarts, "time"), Span(s.Away))
	}
	if s.Identity != "" {
		text += "; the agent identified the client as " + logging.Clean(s.Identity)
	}
	if s.Dropped > 0 {
		text += fmt.Sprintf("; the agent's record lacks %s", phrase.Count(int(s.Dropped), "event"))
	}
	return text
}
