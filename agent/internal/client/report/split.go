package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/internal/shared/trail"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A Part is how long each had a step while the client waited for the reply. The parts add
// up to what the client waited, as far as the agent's record knows.
type Part struct {
	// Waited is how long the client waited for the reply.
	Waited time.Duration
	// Link is the way there and back: the network, and both machines' way to it.
	Link time.Duration
	// Queue is how long the step waited in the agent: for its turn in the session, and for
	// the validators' process.
	Queue time.Duration
	// Validators is how long the slowest group of validators took.
	Validators time.Duration
	// Fault is how long the reply was held back on purpose.
	Fault time.Duration
	// Agent is the rest of the agent's time: reading, deciding and writing the reply.
	Agent time.Duration
}

func (p *Part) add(q Part) {
	p.Waited += q.Waited
	p.Link += q.Link
	p.Queue += q.Queue
	p.Validators += q.Validators
	p.Fault += q.Fault
	p.Agent += q.Agent
}

// A View is the agent's view of one step.
type View struct {
	Part
	// Known says that the agent's record has the step.
	Known bool
	// Whole says that the reply came to the client, so that the parts are whole. Otherwise
	// Waited and Link are 0: nobody knows what became of the reply on its way.
	Whole bool
	// ErrorCode and Reason are the agent's verdict, which the client need not have got.
	ErrorCode int
	Reason    string
	// Fault names what was put in on purpose; empty for nothing.
	FaultKind string
	// Arrivals is how often the request came, each further time answered from memory.
	Arrivals int
	// Generation is that of the validators; Slowest names the slowest group of them.
	Generation uint64
	Slowest    []string
}

// A Split says where the time of a run went, by the records of both sides.
type Split struct {
	// Steps has the view of each step of the run, in order.
	Steps []View
	// Total adds up the steps whose parts are whole, Counted says how many.
	Total   Part
	Counted int
	// Intervals is how long the client kept intervals, Between what else passed between the
	// steps: the client's own work.
	Intervals, Between time.Duration
	// Versions are those of the agents that wrote the record; Dropped is how many events are
	// missing in what was read, Torn which files end in the middle of a line.
	Versions []string
	Dropped  uint64
	Torn     []string
}

// Join joins the client's record with what the agent's has of the run's session, step by
// step, by the requests' own names. Only lengths of time are compared, so the two clocks need
// not agree.
func Join(run record.Run, found trail.Found) (*Split, error) {
	if run.Start.Session == "" {
		return nil, errors.New("the run names no session and no requests, so the agent's record cannot be joined; run without --plain")
	}
	if len(found.Steps) == 0 {
		return nil, fmt.Errorf("the agent's record has no step of session %s; is it that of the right agent and time?", logging.Clean(run.Start.Session))
	}
	byReq := map[protocol.ReqID][]trail.StepEvent{}
	for _, e := range found.Steps {
		if req, ok := reqOf(e.Req); ok {
			byReq[req] = append(byReq[req], e)
		}
	}
	split := &Split{Dropped: found.Dropped, Torn: found.Torn}
	for _, o := range found.Opens {
		split.Versions = append(split.Versions, "stepagent "+o.Agent)
	}
	spent := time.Duration(0)
	for _, step := range run.Steps {
		view := look(step, byReq[step.Req])
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

// reqOf reads a req as it stands in a message.
func reqOf(raw json.RawMessage) (protocol.ReqID, bool) {
	if len(raw) == 0 {
		return protocol.ReqID{}, false
	}
	reply, err := protocol.DecodeReply(fmt.Appendf(nil, `{"step_id":null,"error_code":0,"req":%s}`, raw))
	return reply.Req, err == nil
}

// look makes the view of a step from the events that have its req.
func look(step record.StepResult, events []trail.StepEvent) View {
	if step.Req.IsZero() || len(events) == 0 {
		return View{}
	}
	judged := events[0]
	for _, e := range events {
		if !e.Replayed {
			judged = e
			break
		}
	}
	v := View{Known: true, ErrorCode: judged.ErrorCode, Reason: judged.Reason, FaultKind: judged.Fault,
		Arrivals: len(events), Generation: judged.Generation}
	var slowest trail.Group
	for _, g := range judged.Groups {
		if g.Took >= slowest.Took {
			slowest = g
		}
	}
	v.Slowest = slowest.Validators
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
	// The client may have the reply before the agent knows that it is written. The client did
	// not wait for that.
	v.Link = v.Waited - time.Duration(*judged.Replied)
	if v.Link < 0 {
		v.pay(-v.Link)
		v.Link = 0
	}
	return v
}

// pay takes what the agent's clock counted more than the client's off the agent's parts, first
// off those that nobody measured, so that the parts still add up to the client's wait.
func (p *Part) pay(over time.Duration) {
	for _, part := range []*time.Duration{&p.Agent, &p.Fault, &p.Queue, &p.Validators} {
		cut := min(*part, over)
		*part -= cut
		over -= cut
	}
}

// Account says in one sentence where the time went.
func (s *Split) Account() string {
	t := s.Total
	text := fmt.Sprintf("where the time of %s went: link %s, agent queue %s, validators %s, agent %s",
		count(s.Counted, "reply", "replies"), Span(t.Link), Span(t.Queue), Span(t.Validators), Span(t.Agent))
	if t.Fault > 0 {
		text += ", held back on purpose " + Span(t.Fault)
	}
	text += fmt.Sprintf("; the client kept intervals for %s and had %s of its own", Span(s.Intervals), Span(s.Between))
	if s.Dropped > 0 {
		text += fmt.Sprintf("; the agent's record lacks %s", count(int(s.Dropped), "event", "events"))
	}
	return text
}
