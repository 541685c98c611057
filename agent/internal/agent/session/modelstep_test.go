package session_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A call is a step that a connection sends.
type call struct {
	conn    int
	req     protocol.Request
	order   order
	arrived time.Time
	begins  time.Time // when its turn comes at the soonest
}

// do is what the design says of a step. Details are for people and left out.
func (m *model) do(c call) session.Answer {
	from := m.conns[c.conn].from
	if c.req.Session != "" && !mayUse(from.identity, c.req.Session) {
		return m.answer(c, protocol.BadRequest)
	}
	id := m.slotFor(c.conn, c.req.Session)
	p := m.slots[id]
	defer func() { m.keep(id, p) }()
	for _, cached := range p.replies {
		if !c.req.Req.IsZero() && cached.req == c.req.Req {
			m.stats.Replayed++
			return session.Answer{Reply: cached.reply, Replayed: true}
		}
	}
	if !p.open() && m.room(from) <= 0 {
		return m.answer(c, protocol.Busy)
	}

	done := c.begins
	if free := m.free[id]; done.Before(free) {
		done = free
	}
	done = done.Add(c.order.Takes)
	m.free[id] = done
	run := p.run
	if !p.open() {
		run.steps, run.wants, run.began, run.from = m.rules.Steps, 1, c.arrived, from
	}
	reason := m.judge(&run, c)
	if reason == protocol.ValidatorUnavailable {
		m.stats.Undecided++
		if p.open() {
			p.run.undecided++
		} else if p.rest > 0 {
			m.count++
			p.rest, p.ended = m.count, done
		}
		return m.answer(c, reason)
	}

	if !p.open() {
		m.stats.Open++
	}
	run.position++
	run.due = done.Add(c.req.Interval.Duration)
	if reason == "" {
		run.passed++
		m.stats.Passed++
	} else {
		run.failed++
		m.stats.Failed++
	}
	if g := fmt.Sprint(m.generation); !slices.Contains(strings.Split(run.generations, ","), g) {
		run.generations = strings.TrimPrefix(run.generations+","+g, ",")
	}
	p.run = run
	answer := m.answer(c, reason)
	answer.Reply.End = run.position == run.steps
	if p.name != "" && !c.req.Req.IsZero() {
		p.replies = append(p.replies, cachedReply{c.req.Req, answer.Reply})
		p.replies = p.replies[max(len(p.replies)-m.rules.RememberedReplies, 0):]
	}
	if answer.Reply.End {
		m.end(&p, done, "")
	}
	return answer
}

// inList reports whether the step can be in order at all.
func inList(id int64) bool { return id >= 1 && id <= 10 }

// judge is what the validators say; it moves what sequence wants.
func (m *model) judge(r *run, c call) protocol.Reason {
	inOrder := c.req.StepID == r.wants && inList(r.wants)
	tooShort := c.req.Timeout.Declared && c.req.Timeout.Duration < 5*time.Second
	if inOrder && !tooShort && c.order.Undecided {
		return protocol.ValidatorUnavailable
	}
	switch {
	case inOrder, m.mode == "advance":
		r.wants = r.wants%10 + 1
	case m.mode == "resync":
		r.wants = c.req.StepID + 1
	}
	switch {
	case !inOrder:
		return protocol.OutOfOrder
	case tooShort:
		return protocol.TimeoutTooShort
	default:
		return ""
	}
}

func (m *model) answer(c call, reason protocol.Reason) session.Answer {
	return session.Answer{Reply: protocol.Reply{
		StepID: &c.req.StepID, ErrorCode: m.rules.Codes.Of(reason), Reason: reason,
		Req: c.req.Req, Session: c.req.Session,
	}}
}
