package client

import (
	"fmt"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// maxPast is how many past requests a connection remembers, to recognize late and duplicate
// replies. Replies to older ones are unsolicited.
const maxPast = 128

// A ledger holds the past requests of one connection, and decides which request a reply answers.
type ledger struct {
	// echoes is set when the agent has sent a req back.
	echoes bool
	// past are the completed requests that have a req, oldest first.
	past []*entry
	// steps are the step_ids of the completed requests whose replies nothing else identifies.
	steps map[int64]struct{}
}

// An entry is a completed request.
type entry struct {
	request protocol.Request
	sent    time.Time
	// replied is false for a request that timed out or whose context ended.
	replied bool
}

// A match says what a reply is.
type match struct {
	kind    matchKind
	stray   StrayKind // of a stray
	past    *entry    // the request that a stray answers; nil for none
	problem string    // why the reply is not the answer
	close   bool      // later replies could not be matched: close the connection
}

type matchKind uint8

const (
	// isStray: the reply is not for the pending request.
	isStray matchKind = iota
	// isAnswer: the reply answers the pending request.
	isAnswer
	// isWrong: the reply is for the pending request, and contradicts it.
	isWrong
)

// classify decides what a reply is. asked is the pending request; nil for none.
func (l *ledger) classify(asked *protocol.Request, r protocol.Reply) match {
	if !r.Req.IsZero() {
		return l.classifyByReq(asked, r)
	}
	switch {
	case asked == nil:
		return match{stray: Unsolicited, problem: "a reply that answers no open request", close: !l.echoes}
	case r.StepID == nil && r.ErrorCode != 0 && l.hasUnanswered():
		// It may answer a request that has timed out.
		return match{stray: Unsolicited, problem: "a refusal that does not say of what"}
	case r.StepID == nil && r.ErrorCode != 0:
		// The agent did not accept the request: it closes the connection.
		m := compare(asked, r)
		m.close = true
		return m
	case l.echoes && !asked.Req.IsZero():
		return match{kind: isWrong, close: true,
			problem: "a reply without the req that the replies before it had"}
	default:
		m := compare(asked, r)
		m.close = m.kind == isWrong
		return m
	}
}

func (l *ledger) classifyByReq(asked *protocol.Request, r protocol.Reply) match {
	if asked != nil && r.Req == asked.Req {
		l.echoes = true
		return compare(asked, r)
	}
	past := l.find(r.Req)
	if past == nil {
		return match{stray: Unsolicited, close: asked == nil && !l.echoes,
			problem: fmt.Sprintf("a reply to req %s, which was not asked", r.Req)}
	}
	l.echoes = true
	if past.replied {
		return match{stray: Duplicate, past: past, problem: "a further reply"}
	}
	past.replied = true
	return match{stray: Late, past: past, problem: "a late reply"}
}

// compare checks that a reply fits the request that it is for. A refusal may lack the step_id, which
// the agent may not have been able to read; a pass may not.
func compare(asked *protocol.Request, r protocol.Reply) match {
	var problem string
	switch {
	case r.StepID == nil && r.ErrorCode == 0:
		problem = "a reply with code 0 and no step_id"
	case r.StepID != nil && *r.StepID != asked.StepID:
		problem = fmt.Sprintf("a reply to step %d instead of step %d", *r.StepID, asked.StepID)
	case r.Session != "" && asked.Session != "" && r.Session != asked.Session:
		problem = fmt.Sprintf("a reply to session %q instead of %q", r.Session, asked.Session)
	default:
		return match{kind: isAnswer}
	}
	return match{kind: isWrong, problem: problem}
}

// admits reports whether a request may be sent over the connection. Where only the step_id
// identifies replies, it must not be sent twice: a duplicate reply to the first request would look
// like the reply to the second.
func (l *ledger) admits(r protocol.Request) bool {
	if l.echoes && !r.Req.IsZero() {
		return true
	}
	_, used := l.steps[r.StepID]
	return !used && len(l.steps) < maxPast
}

// forget removes the past request with the same req. A reply to either answers a repeated request.
func (l *ledger) forget(req protocol.ReqID) {
	if !req.IsZero() {
		l.past = slices.DeleteFunc(l.past, func(e *entry) bool { return e.request.Req == req })
	}
}

// add adds a completed request. It reports whether the connection may stay open: a reply that may
// still come must be recognized.
func (l *ledger) add(r protocol.Request, sent time.Time, replied bool) bool {
	recognized := l.echoes && !r.Req.IsZero()
	if !recognized {
		l.steps[r.StepID] = struct{}{}
	}
	if !r.Req.IsZero() {
		if len(l.past) == maxPast {
			l.past = slices.Delete(l.past, 0, 1)
		}
		r.Data = nil
		l.past = append(l.past, &entry{request: r, sent: sent, replied: replied})
	}
	return replied || recognized
}

// hasUnanswered reports whether a reply to a past request may still come.
func (l *ledger) hasUnanswered() bool {
	return slices.ContainsFunc(l.past, func(e *entry) bool { return !e.replied })
}

func (l *ledger) find(req protocol.ReqID) *entry {
	if i := slices.IndexFunc(l.past, func(e *entry) bool { return e.request.Req == req }); i >= 0 {
		return l.past[i]
	}
	return nil
}
