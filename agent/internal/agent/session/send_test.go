package session_test

import (
	"context"
	"encoding/json"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// cached says which of a group's answers are cached: for a step in that group of the chain. Those to
// a step that takes time never are.
type cached func(step validator.Step, group int) bool

// nothing is cached, everything, or something: of the first group all but every second step, of
// the second all but every third.
func nothing(validator.Step, int) bool          { return false }
func everything(validator.Step, int) bool       { return true }
func something(step validator.Step, g int) bool { return step.ID%int64(g+2) != 0 }

// tried is a Group that may have cached its answers.
type tried struct {
	judge.Group
	index int
	at    cached
}

func (g tried) Try(call *judge.Call) ([]judge.Answer, bool) {
	if call.Fresh || orderOf(call.Step).Takes > 0 || !g.at(call.Step, g.index) {
		return nil, false
	}
	return g.Judge(context.Background(), *call), true
}

// orderOf returns what a step's data tells obedient, which says itself what is wrong with them.
func orderOf(step validator.Step) order {
	var o order
	if step.Data != nil {
		_ = json.Unmarshal(step.Data, &o)
	}
	return o
}

// A way is how a request is sent.
type way func(c *session.Conn, req protocol.Request) session.Answer

// try has a request judged by Try, and stored. False says that it must wait.
func try(c *session.Conn, req protocol.Request, arrived time.Time) (session.Answer, bool) {
	answer, progress := c.Try(req, arrived)
	if progress == session.Judged {
		answer, _, _ = c.Stored(context.Background())
	}
	return answer, progress != session.MustWait
}

// do has a request judged as the server does: by Try, and where that says no by Do.
func do(c *session.Conn, req protocol.Request) session.Answer {
	return doWithin(context.Background(), c, req, time.Now())
}

func doWithin(
	ctx context.Context, c *session.Conn, req protocol.Request, arrived time.Time,
) session.Answer {
	if answer, ok := try(c, req, arrived); ok {
		return answer
	}
	return c.Do(ctx, req, arrived)
}

// doWaiting has a request judged by Do alone.
func doWaiting(c *session.Conn, req protocol.Request) session.Answer {
	return c.Do(context.Background(), req, time.Now())
}
