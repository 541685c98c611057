package client

import (
	"fmt"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// maxRemembered is how many past requests a connection remembers, to tell what comes late
// or twice. What comes for an older one is unsolicited.
const maxRemembered = 128

// A ledger is what one connection knows of its requests. It decides which reply answers
// what, and touches neither clock nor network.
type ledger struct {
	// echoes is set when the agent has sent a req back.
	echoes bool
	// past are the requests that are over and have a req, oldest first.
	past []*entry
	// steps are the ids of the requests that are over and whose replies can be told by
	// nothing else.
	steps map[int64]struct{}
}

// An entry is a request that is over.
type entry struct {
	request protocol.Request
	sent    time.Time
	// replied tells a request that had its reply from one that was given up.
	replied bool
}

// A ruling says what a reply is.
type ruling struct {
	kind rulingKind
	// stray and past are for a stray, past for one that belongs to a request that is over.
	stray StrayKind
	past  *entry
	// problem says why the reply is no answer.
	problem string
	// hangUp: the connection can be trusted no further.
	hangUp bool
}

type rulingKind uint8

const (
	// isStray: the reply has nothing to do with the request at hand.
	isStray rulingKind = iota
	// isAnswer: the reply answers the request at hand.
	isAnswer
	// isWrong: the reply is meant for the request at hand, and is none to it.
	isWrong
)

// rule decides what a reply is, while the answer to asked is waited for; asked is nil while
// none is.
func (l *ledger) rule(asked *protocol.Request, r protocol.Reply) ruling {
	if !r.Req.IsZero() {
		return l.ruleByReq(asked, r)
	}
	switch {
	case asked == nil:
		return ruling{stray: Unsolicited, problem: "a reply that answers no open request", hangUp: !l.echoes}
	case r.StepID == nil && r.ErrorCode != 0 && l.open():
		// It may be the answer to a request that was given up.
		return ruling{stray: Unsolicited, problem: "a refusal that does not say of what"}
	case r.StepID == nil && r.ErrorCode != 0:
		// The agent could not read the request, or would not: it closes the connection.
		ruled := judge(asked, r)
		ruled.hangUp = true
		return ruled
	case l.echoes && !asked.Req.IsZero():
		return ruling{kind: isWrong, hangUp: true,
			problem: "a reply without the req that the replies before it had"}
	default:
		ruled := judge(asked, r)
		ruled.hangUp = ruled.kind == isWrong
		return ruled
	}
}

func (l *ledger) ruleByReq(asked *protocol.Request, r protocol.Reply) ruling {
	if asked != nil && r.Req == asked.Req {
		l.echoes = true
		return judge(asked, r)
	}
	past := l.find(r.Req)
	if past == nil {
		return ruling{stray: Unsolicited, hangUp: asked == nil && !l.echoes,
			problem: fmt.Sprintf("a reply to req %s, which was not asked", r.Req)}
	}
	l.echoes = true
	if past.replied {
		return ruling{stray: Duplicate, past: past, problem: "a further reply"}
	}
	past.replied = true
	return ruling{stray: Late, past: past, problem: "a late reply"}
}

// judge looks at a reply that came for a request. A refusal may lack the step_id, when the
// agent could not read it; a pass may not.
func judge(asked *protocol.Request, r protocol.Reply) ruling {
	var problem string
	switch {
	case r.StepID == nil && r.ErrorCode == 0:
		problem = "a reply with code 0 and no step_id"
	case r.StepID != nil && *r.StepID != asked.StepID:
		problem = fmt.Sprintf("a reply to step %d instead of step %d", *r.StepID, asked.StepID)
	case r.Session != "" && asked.Session != "" && r.Session != asked.Session:
		problem = fmt.Sprintf("a reply to session %q instead of %q", r.Session, asked.Session)
	default:
		return ruling{kind: isAnswer}
	}
	return ruling{kind: isWrong, problem: problem}
}

// admits reports whether a request may go over the connection. Where replies are told by
// their step_id, a second one with the same id may not: a second reply to the first would
// look like the reply to it.
func (l *ledger) admits(r protocol.Request) bool {
	if l.echoes && !r.Req.IsZero() {
		return true
	}
	_, used := l.steps[r.StepID]
	return !used && len(l.steps) < maxRemembered
}

// begin forgets what is known of an earlier request with the same req: asking again is the
// same question, and any answer to it will do.
func (l *ledger) begin(r protocol.Request) {
	if !r.Req.IsZero() {
		l.past = slices.DeleteFunc(l.past, func(e *entry) bool { return e.request.Req == r.Req })
	}
}

// settle notes that a request is over. It reports whether the connection may go on: a reply
// that is still to come must be told from others.
func (l *ledger) settle(r protocol.Request, sent time.Time, replied bool) bool {
	told := l.echoes && !r.Req.IsZero()
	if !told {
		l.steps[r.StepID] = struct{}{}
	}
	if !r.Req.IsZero() {
		if len(l.past) == maxRemembered {
			l.past = slices.Delete(l.past, 0, 1)
		}
		r.Data = nil
		l.past = append(l.past, &entry{request: r, sent: sent, replied: replied})
	}
	return replied || told
}

// open reports whether a request was given up whose reply may still come.
func (l *ledger) open() bool {
	return slices.ContainsFunc(l.past, func(e *entry) bool { return !e.replied })
}

func (l *ledger) find(req protocol.ReqID) *entry {
	if i := slices.IndexFunc(l.past, func(e *entry) bool { return e.request.Req == req }); i >= 0 {
		return l.past[i]
	}
	return nil
}
