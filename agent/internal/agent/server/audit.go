package server

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
	"github.com/stepagent/stepagent/agent/protocol"
)

// An auditEntry is the record of one request, written once it is known whether the reply was sent.
// A nil entry records nothing.
type auditEntry struct {
	to      session.Recorder
	arrived time.Time
	step    *auditlog.Step
}

// client returns the client for logs and the record.
func (c *conn) client() string { return cmp.Or(c.peer.text(), c.addr.String()) }

// identity returns that of the client's certificate; empty for none.
func (c *conn) identity() string {
	if c.peer == nil {
		return ""
	}
	return c.peer.identity
}

// attrs are those of the client in the log.
func (c *conn) attrs() []slog.Attr {
	attrs := []slog.Attr{slog.String("client", c.client())}
	if identity := c.identity(); identity != "" {
		attrs = append(attrs, slog.String("identity", identity))
	}
	return attrs
}

// finish completes an answer, counts it and returns its audit entry.
func (c *conn) finish(answer *session.Answer, req *protocol.Request, arrived time.Time) *auditEntry {
	o := c.server.options.Load()
	if req.Client != "" {
		answer.Reply.Agent = o.Agent
	}
	switch r := answer.Reply.Reason; r {
	case protocol.Busy, protocol.ShuttingDown, protocol.BadRequest:
		c.countRefused(r)
	}
	return c.newAuditEntry(o, req, answer, arrived)
}

// countRefused counts a message that no validator was asked about.
func (c *conn) countRefused(reason protocol.Reason) {
	if c.probing {
		return
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.stats.RefusedMessages++
	c.server.stats.RefusedByReason[reason]++
}

// newAuditEntry returns the entry of a request that has been answered.
func (c *conn) newAuditEntry(o *Options, req *protocol.Request, answer *session.Answer, arrived time.Time) *auditEntry {
	if o.Recorder == nil || c.probing {
		return nil
	}
	trace, reply := &answer.Trace, &answer.Reply
	step := &auditlog.Step{
		Session: trace.Session, Client: c.client(), Identity: c.identity(),
		Req: req.Req, StepID: req.StepID, Position: trace.Position,
		ErrorCode: reply.ErrorCode, Reason: string(reply.Reason), Detail: reply.Detail,
		Replayed: answer.Replayed, Generation: trace.Generation,
		Turn: jsonl.Seconds(trace.Turn), Judged: jsonl.Seconds(time.Since(arrived)),
	}
	if answer.Fault != nil {
		step.Fault = answer.Fault.Kind.String()
	}
	for _, g := range trace.Groups {
		step.Groups = append(step.Groups, auditlog.Group{Validators: g.Names, Queue: jsonl.Seconds(g.Queue), Took: jsonl.Seconds(g.Took), Kept: g.Kept})
	}
	return &auditEntry{to: o.Recorder, arrived: arrived, step: step}
}

// commit records the request; sent says that its reply was written.
func (e *auditEntry) commit(sent bool) {
	if e == nil {
		return
	}
	if sent {
		took := jsonl.Seconds(time.Since(e.arrived))
		e.step.Replied = &took
	}
	e.to.Record(auditlog.Event{Kind: auditlog.KindStep, Time: e.arrived, Step: e.step})
}
