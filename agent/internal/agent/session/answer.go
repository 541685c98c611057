package session

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// undecided answers a step that takes no position, for the reason or because the agent stops. The caller
// holds the turn.
func (c *Conn) undecided(ctx context.Context, s *slot, req *protocol.Request, j *judge.Judgement, reason protocol.Reason) Answer {
	m, now := c.manager, &s.session
	if ctx.Err() != nil {
		reason = protocol.ShuttingDown
	}
	m.count(func(n *Stats) {
		n.Undecided++
		n.ByReason[reason]++
		now.tally.undecided++
		m.change(s)
	})
	if reason == protocol.ShuttingDown {
		return c.Refuse(req, protocol.ShuttingDown, causeStopping)
	}
	trace := Trace{Session: now.id, Position: now.position, Generation: j.Generation, Groups: j.Groups}
	c.logStep(trace.Session, trace.Position+1, req, j, reason)
	return Answer{Reply: c.reply(req, reason, j.Detail), Trace: trace}
}

// refuseSession refuses the first step of a session past a limit.
func (c *Conn) refuseSession(ctx context.Context, req *protocol.Request, limit *sessionLimit) Answer {
	m := c.manager
	m.refusals.Log(ctx, m.log, slog.LevelWarn, "too many sessions"+limit.scope,
		append(c.client.appendAttrs(nil), slog.Int("limit", limit.most))...)
	return c.Refuse(req, protocol.Busy, fmt.Sprintf(
		"the agent has %d sessions open%s, which is its limit; try again later", limit.most, limit.scope))
}

// refuseUnread refuses a step whose session cannot be read.
func (c *Conn) refuseUnread(ctx context.Context, req *protocol.Request, err error) Answer {
	if ctx.Err() != nil {
		return c.Refuse(req, protocol.ShuttingDown, causeStopping)
	}
	return c.Refuse(req, protocol.Busy, err.Error()+"; send the step again later")
}

// refuseName refuses a request whose session name the client may not use.
func (c *Conn) refuseName(ctx context.Context, req *protocol.Request) Answer {
	m := c.manager
	m.badNames.Log(ctx, m.log, slog.LevelWarn, "session name not allowed",
		append(c.client.appendAttrs(nil), slog.String("session", req.Session))...)
	return c.Refuse(req, protocol.BadRequest, fmt.Sprintf("the session name %q is not one that %s may use; ask for it in tls.clients",
		req.Session, cmp.Or(c.client.identity(), c.client.String())))
}

// Refuse returns an answer without a verdict: the step has not been judged.
func (c *Conn) Refuse(req *protocol.Request, reason protocol.Reason, detail string) Answer {
	return Answer{Reply: c.reply(req, reason, detail), Trace: Trace{Session: c.manager.idOf(&c.client, req.Session)}}
}

func (c *Conn) reply(req *protocol.Request, reason protocol.Reason, detail string) protocol.Reply {
	id := req.StepID
	return protocol.Reply{
		StepID: &id, ErrorCode: c.manager.options.Load().Codes.Of(reason),
		Req: req.Req, Session: req.Session, Reason: reason, Detail: detail,
	}
}

// maxStepAttrs is the most that a line about a step has.
const maxStepAttrs = 9

// logStep logs a step that did not pass and keeps it for observers; one that did, it logs at debug
// level. Position is the step's place in the procedure, counted from 1, whether or not it was judged.
func (c *Conn) logStep(session string, position int, req *protocol.Request, j *judge.Judgement, reason protocol.Reason) {
	level, message := slog.LevelWarn, "step failed"
	switch j.Outcome {
	case validator.Pass:
		level, message = slog.LevelDebug, "step passed"
	case validator.Undecided:
		level, message = slog.LevelError, "step undecided"
	}
	if j.Outcome != validator.Pass {
		c.manager.failures.add(&c.client, Failure{Time: c.manager.clock.Now(), Session: session, StepID: req.StepID,
			Position: position, Outcome: j.Outcome.String(), Reason: reason, Detail: j.Detail, Validator: j.By})
	}
	if !c.manager.log.Enabled(context.Background(), level) {
		return
	}
	attrs := c.client.appendAttrs(append(make([]slog.Attr, 0, maxStepAttrs),
		slog.String("session", session), slog.Int64("step_id", req.StepID), slog.Int("position", position)))
	if reason != "" {
		attrs = append(attrs, slog.String("reason", string(reason)),
			slog.String("validator", j.By), slog.String("detail", j.Detail))
	}
	if j.Fault != nil {
		attrs = append(attrs, slog.String("fault", j.Fault.Kind.String()))
	}
	if j.Outcome == validator.Pass {
		c.manager.log.LogAttrs(context.Background(), level, message, attrs...)
		return
	}
	c.manager.badSteps.Log(context.Background(), c.manager.log, level, message, attrs...)
}
