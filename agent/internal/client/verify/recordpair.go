package verify

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// pick finds the steps of the run: those of its session, or of the client without a name that
// sent the most of its steps.
func (c *comparison) pick() {
	best := -1
	for _, chain := range c.v.chains() {
		fits := 0
		for i, s := range chain.steps {
			if i < len(c.run.Steps) && s.StepID != nil && *s.StepID == c.run.Steps[i].StepID {
				fits++
			}
		}
		first := chain.sessions[0]
		named := first.Named && first.ID == c.run.Start.Session
		if c.run.Start.Session != "" && !named || c.run.Start.Session == "" && first.Named || fits <= best {
			continue
		}
		best = fits
		c.sure = named
		c.steps = nil
		for _, s := range chain.sessions {
			c.steps = append(c.steps, s.Steps...)
		}
	}
	for _, s := range c.v.report.Outside { // bad requests belong to no session
		if s.exchange.bad != nil && s.exchange.bad.Session == c.run.Start.Session || s.exchange.bad == nil && s.exchange.request.Session == c.run.Start.Session && c.run.Start.Session != "" {
			c.steps = append(c.steps, s)
		}
	}
	slices.SortStableFunc(c.steps, func(a, b *Step) int { return a.exchange.message.begin.Time.Compare(b.exchange.message.begin.Time) })
	if len(c.steps) == 0 && c.run.Counts[record.NotRun]+c.run.Counts[record.Unreachable] < len(c.run.Steps) {
		what := "no client without a session is in the capture"
		if c.run.Start.Session != "" {
			what = fmt.Sprintf("the session %q of the record is not in the capture", c.run.Start.Session)
		}
		verdict := Fail
		if !c.v.seemsWhole() {
			verdict = Inconclusive
		}
		c.find(verdict, "record_session", what)
	}
}

// seemsWhole reports whether the capture has sessions, and nothing tells that packets of any are
// missing. A session of which all packets are missing does not show.
func (v *verifier) seemsWhole() bool {
	whole := len(v.report.Sessions) > 0 && verdictOf(v.report.Findings) != Inconclusive
	for _, s := range v.report.Sessions {
		whole = whole && s.Verdict != Inconclusive && (s.Complete || v.ended(s))
	}
	return whole
}

// pair finds the request of each step that the record says was sent: by its req, else the
// next one with its step_id.
func (c *comparison) pair() {
	byReq := map[protocol.ReqID][]*Step{}
	for _, s := range c.steps {
		byReq[s.exchange.req()] = append(byReq[s.exchange.req()], s)
	}
	take := func(index int, s *Step) { c.sent[index], c.taken[s] = s, true }
	next := 0
	for _, e := range c.log.Events {
		switch {
		case e.Kind != record.KindSent:
		case !e.Req.IsZero():
			if same := byReq[e.Req]; len(same) > 0 {
				take(e.Index, same[0])
				byReq[e.Req], c.sure = same[1:], true
			}
		default:
			fits := func(s *Step) bool { return !c.taken[s] && s.StepID != nil && *s.StepID == e.StepID }
			if i := slices.IndexFunc(c.steps[next:], fits); i >= 0 {
				take(e.Index, c.steps[next+i])
				next += i + 1
			}
		}
	}
}

// clocks works out how far the two clocks are apart.
func (c *comparison) clocks() {
	var offsets, certain []time.Duration
	for _, e := range c.log.Events {
		if s := c.sent[e.Index]; e.Kind == record.KindSent && s != nil {
			offsets = append(offsets, s.exchange.message.begin.Time.Sub(c.run.Start.Time.Add(e.At)))
			if s.exchange.dialog.up.SentFirst(s.exchange.message.from) {
				certain = append(certain, offsets[len(offsets)-1])
			}
		}
	}
	if len(certain) > 0 {
		offsets = certain
	}
	if len(offsets) == 0 {
		return
	}
	slices.Sort(offsets)
	c.offset = offsets[len(offsets)/2]
	c.match.Offset = seconds(c.offset)
	if c.offset.Abs() <= c.v.opts.Tolerances.Clocks {
		return
	}
	text := fmt.Sprintf("the clocks of record and capture are %s apart", span(c.offset.Abs()))
	if c.sure {
		c.find(Pass, "clocks", text+"; session and requests say that it is the same run")
	} else {
		c.find(Inconclusive, "clocks", text+", and nothing else says that it is the same run")
	}
}

// unclaimed looks at requests that the record does not have.
func (c *comparison) unclaimed() {
	for _, s := range c.steps {
		if !c.taken[s] {
			c.find(c.ifWhole(s), "not_recorded", fmt.Sprintf("packet %d sends %s, and the record has no such sending", s.Request.First, s.name()))
		}
	}
	for index, s := range c.sent {
		if s.Outcome == Late && c.run.Steps[index-1].Late == nil && index < len(c.run.Steps) && c.run.Cause == record.Finished {
			c.find(c.ifWhole(s), "not_recorded", fmt.Sprintf("packet %d carries a late reply to %s, and the record has none", s.Reply.Packet, s.name()))
		}
		if len(s.exchange.replies) > 1 && len(c.run.Strays) == 0 {
			c.find(c.ifWhole(s), "not_recorded", fmt.Sprintf("the agent sent the reply to %s twice, and the record has it once", s.name()))
		}
	}
	slices.SortFunc(c.match.Findings, func(a, b Finding) int { return bytes.Compare([]byte(a.Text), []byte(b.Text)) })
}
