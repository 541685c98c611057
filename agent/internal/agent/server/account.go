package server

import (
	"bytes"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A Recorder takes note of what happens. It must not wait.
type Recorder interface{ Record(auditlog.Event) }

// An account is what is to be noted of one request, once it is known whether the reply was
// written. Nil accounts note nothing.
type account struct {
	to      Recorder
	arrived time.Time
	step    *auditlog.Step
}

// account opens the account of a request that has been answered.
func (c *conn) account(o *Options, req *protocol.Request, answer *session.Answer, arrived time.Time) *account {
	if o.Recorder == nil || c.probing {
		return nil
	}
	step := &auditlog.Step{
		Session: answer.Trace.Session, Client: c.addr.String(), Req: rawReq(req.Req), StepID: req.StepID, Position: answer.Trace.Position,
		ErrorCode: answer.Reply.ErrorCode, Reason: string(answer.Reply.Reason), Detail: answer.Reply.Detail,
		Replayed: answer.Replayed, Generation: answer.Trace.Generation,
		Turn: jsonl.Seconds(answer.Trace.Turn), Judged: jsonl.Seconds(time.Since(arrived)),
	}
	if answer.Fault != nil {
		step.Fault = answer.Fault.Kind.String()
	}
	for _, g := range answer.Trace.Groups {
		step.Groups = append(step.Groups, auditlog.Group{Validators: g.Names, Queue: jsonl.Seconds(g.Queue), Took: jsonl.Seconds(g.Took), Kept: g.Kept})
	}
	return &account{to: o.Recorder, arrived: arrived, step: step}
}

// settle closes the account.
func (a *account) settle(replied bool) {
	if a == nil {
		return
	}
	if replied {
		took := jsonl.Seconds(time.Since(a.arrived))
		a.step.Replied = &took
	}
	a.to.Record(auditlog.Event{Kind: auditlog.KindStep, Time: a.arrived, Step: a.step})
}

// countRefused counts a message that no validator was asked about.
func (c *conn) countRefused() {
	if c.probing {
		return
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.stats.RefusedMessages++
}

// countUnjudged is countRefused for the answer to a request, if that is no verdict.
func (c *conn) countUnjudged(answer *session.Answer) {
	if r := answer.Reply.Reason; r == protocol.Busy || r == protocol.ShuttingDown {
		c.countRefused()
	}
}

// rawReq returns a req as it stands in a message; nil when there is none.
func rawReq(req protocol.ReqID) []byte {
	if req.IsZero() {
		return nil
	}
	_, rest, _ := bytes.Cut(protocol.AppendReply(nil, protocol.Reply{Req: req}), []byte(`"req":`))
	return bytes.TrimSuffix(rest, []byte("}\n"))
}
