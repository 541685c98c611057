package load

import (
	"bytes"
	"fmt"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A Plan has the requests of clients and the expected replies.
type Plan interface {
	// Exchanges returns the exchanges of one session, in order. The session's name is empty if the
	// agent names it by the connection. Clients may share the result and do not change it.
	Exchanges(session string) []Exchange
}

// An Exchange is one request and its reply.
type Exchange struct {
	// Request is sent as it is.
	Request []byte
	// Reply is the usual reply, a line with its newline. It is compared first, as bytes.
	Reply []byte
	// Want is compared with any other reply; nil if only Reply is right.
	Want *Want
}

// A Want is what a decoded reply must contain.
type Want struct {
	StepID  int64
	Session string
	Reason  protocol.Reason // empty if the step must pass
	End     bool            // the step must end the session
}

// The rules of the default validators and sessions, deliberately repeated here: the agent must not be
// compared with itself.
const (
	firstStep  = 1
	lastStep   = 10
	minTimeout = 5 * time.Second
)

// procedure is the Plan of a step file, for an agent with its default validators.
type procedure struct {
	steps  []stepfile.Step
	shared []Exchange // of clients that name no session
}

// Procedure returns the plan of clients that perform p against an agent with default validators and
// sessions. Intervals are neither kept nor declared. The procedure must have as many steps as a
// session.
func Procedure(p stepfile.Procedure) (Plan, error) {
	if n := len(p.Steps); n != lastStep {
		return nil, fmt.Errorf("procedure %s has %d steps; for a load it must have %d, as many as a session", p.Name, n, lastStep)
	}
	plan := &procedure{steps: p.Steps}
	plan.shared = plan.exchanges("")
	return plan, nil
}

// Exchanges implements Plan.
func (p *procedure) Exchanges(session string) []Exchange {
	if session == "" {
		return p.shared
	}
	return p.exchanges(session)
}

func (p *procedure) exchanges(session string) []Exchange {
	all := make([]Exchange, len(p.steps))
	for i, s := range p.steps {
		want := &Want{StepID: s.ID, Session: session, Reason: verdict(i, s), End: i == len(p.steps)-1}
		all[i] = Exchange{
			Request: protocol.AppendRequest(nil, protocol.Request{StepID: s.ID,
				Timeout: protocol.Seconds(s.Timeout), Session: session, Data: s.Data}),
			Want: want,
		}
		if want.Reason == "" {
			all[i].Reply = protocol.AppendReply(nil, protocol.Reply{StepID: &s.ID, Session: session, End: want.End})
		}
	}
	return all
}

// verdict returns why the step at an index must fail; empty if it must pass.
func verdict(index int, s stepfile.Step) protocol.Reason {
	switch {
	case s.ID != firstStep+int64(index):
		return protocol.OutOfOrder
	case s.Timeout < minTimeout:
		return protocol.TimeoutTooShort
	default:
		return ""
	}
}

// check compares a reply, a line with its newline.
func (e *Exchange) check(line []byte) kind {
	if e.Reply != nil && bytes.Equal(line, e.Reply) {
		return right
	}
	if e.Want == nil {
		return wrongReply
	}
	reply, err := protocol.DecodeReply(line)
	if err != nil {
		return wrongReply
	}
	return e.Want.compare(reply)
}

func (w *Want) compare(reply protocol.Reply) kind {
	switch {
	case reply.StepID == nil && reply.Reason == protocol.Busy:
		return refused // the connection, not the step
	case reply.StepID == nil && reply.Reason == protocol.ShuttingDown:
		return shuttingDown
	case reply.StepID == nil || *reply.StepID != w.StepID:
		return wrongStep
	case reply.Session != w.Session:
		return wrongSession
	}
	switch reply.Reason {
	case protocol.ValidatorUnavailable:
		return unavailable
	case protocol.Busy:
		return busy
	case protocol.ShuttingDown:
		return shuttingDown
	case protocol.Internal:
		return internal
	}
	switch {
	case reply.Reason != w.Reason, (reply.ErrorCode == 0) != (w.Reason == ""):
		return wrongVerdict
	case reply.End != w.End:
		return wrongEnd
	}
	return right
}
