package verify

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/stepagent/stepagent/agent/internal/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A RecordMatch says how a run record compares with the capture, event by event.
type RecordMatch struct {
	Name    string  `json:"name"`
	Session string  `json:"session,omitempty"`
	Verdict Verdict `json:"verdict"`
	// Offset is how much the capture's clock is ahead of the client's, in seconds.
	Offset *float64     `json:"clock_offset"`
	Events []EventMatch `json:"events"`
	// Findings are about the record as a whole.
	Findings []Finding `json:"findings"`
}

// An EventMatch says whether the capture shows one event of the record.
type EventMatch struct {
	Line    int     `json:"line"`
	Event   string  `json:"event"`
	StepID  *int64  `json:"step_id,omitempty"`
	Verdict Verdict `json:"verdict"`
	Text    string  `json:"text"`
	Packet  int     `json:"packet,omitempty"`
}

// A comparison works on one record.
type comparison struct {
	v      *verifier
	log    record.Log
	run    record.Run
	match  *RecordMatch
	steps  []*Step        // of the run, as they were sent
	sent   map[int]*Step  // by index
	taken  map[*Step]bool // that a sent event has claimed
	offset time.Duration  // the capture's clock minus the client's
	sure   bool           // session or req say that it is this run
}

// compareRecord says whether the record tells the same story as the packets.
func (v *verifier) compareRecord(log record.Log) error {
	run, err := log.Fold()
	if err != nil {
		return err
	}
	c := &comparison{v: v, log: log, run: run, sent: map[int]*Step{}, taken: map[*Step]bool{},
		match: &RecordMatch{Name: log.Name, Session: run.Start.Session, Verdict: Pass, Events: []EventMatch{}, Findings: []Finding{}}}
	v.report.Record = c.match
	c.pick()
	c.pair()
	c.clocks()
	for i, e := range log.Events {
		c.event(i+1, e)
	}
	c.unclaimed()
	if log.Cut || run.Cut() {
		c.find(Pass, "record_cut", "the record has no end: the client was killed, or is still at work")
	}
	if p := v.opts.Procedure; p != nil && p.SHA256 != run.Start.Procedure.SHA256 {
		c.find(Fail, "record_procedure", fmt.Sprintf("the record is of another step file than %s: its sha256 is %s", p.Name, run.Start.Procedure.SHA256))
	}
	for _, e := range c.match.Events {
		c.match.Verdict = c.match.Verdict.and(e.Verdict)
	}
	c.match.Verdict = c.match.Verdict.and(verdictOf(c.match.Findings))
	return nil
}

func (c *comparison) find(verdict Verdict, code, text string) {
	c.match.Findings = append(c.match.Findings, Finding{Verdict: verdict, Code: code, Text: text})
}

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
		c.find(c.ifWhole(nil), "record_session", what)
	}
}

// pair finds the request of each step that the record says was sent: by its req, else the
// next one with its step_id.
func (c *comparison) pair() {
	next := 0
	for _, e := range c.log.Events {
		if e.Kind != record.KindSent {
			continue
		}
		for i, s := range c.steps {
			byReq := !e.Req.IsZero() && s.exchange.req() == e.Req
			byID := e.Req.IsZero() && i >= next && s.StepID != nil && *s.StepID == e.StepID
			if !c.taken[s] && (byReq || byID) {
				c.sent[e.Index], c.taken[s] = s, true
				c.sure = c.sure || byReq
				next = i + 1
				break
			}
		}
	}
}

// clocks works out how far the two clocks are apart.
func (c *comparison) clocks() {
	var offsets []time.Duration
	for _, e := range c.log.Events {
		if s := c.sent[e.Index]; e.Kind == record.KindSent && s != nil {
			offsets = append(offsets, s.exchange.message.begin.Time.Sub(c.run.Start.Time.Add(e.At)))
		}
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

// ifWhole is the verdict of a contradiction: a fail, unless something is missing in the
// capture that might explain it.
func (c *comparison) ifWhole(s *Step) Verdict {
	if s != nil {
		return c.v.sureOf(s.exchange.dialog)
	}
	if verdictOf(c.v.report.Findings) == Inconclusive {
		return Inconclusive
	}
	return Fail
}

// event says whether the capture shows one event.
func (c *comparison) event(line int, e record.Event) {
	m := EventMatch{Line: line, Event: string(e.Kind), Verdict: Pass}
	if e.Index > 0 {
		m.StepID = &e.StepID
	}
	s := c.sent[e.Index]
	wrong, text := "", ""
	switch e.Kind {
	case record.KindStart:
		wrong, text = c.start(e)
	case record.KindEnd:
		text = "the run ended: " + string(e.End.Cause)
	case record.KindSent:
		if s == nil {
			wrong = fmt.Sprintf("no packet carries the request of step %d", e.StepID)
			break
		}
		m.Packet = s.Request.Packet
		wrong, text = c.wasSent(e, s)
	case record.KindUnreachable:
		text = "no request of it is in the capture"
	case record.KindStray:
		wrong, text = c.stray(e, s)
	default:
		if s == nil {
			wrong = "its request is not in the capture"
			break
		}
		wrong, text = c.settled(e, s)
		if s.Reply != nil {
			m.Packet = s.Reply.Packet
		}
	}
	m.Text = text
	switch {
	case wrong != "" && (s == nil || s.Reply == nil) && c.afterEnd(e):
		m.Verdict, m.Text = Inconclusive, "the capture ends before it"
	case wrong != "":
		m.Verdict, m.Text = c.ifWhole(s), wrong
	}
	c.match.Events = append(c.match.Events, m)
}

// afterEnd reports whether an event may have happened after the last packet of the capture.
func (c *comparison) afterEnd(e record.Event) bool {
	at := c.run.Start.Time.Add(e.At).Add(c.offset)
	return len(c.sent) > 0 && at.After(c.v.capture.Last.Add(-c.v.opts.Tolerances.Record))
}

func (c *comparison) start(e record.Event) (wrong, text string) {
	_, port, err := net.SplitHostPort(e.Start.Address)
	if err == nil && len(c.steps) > 0 {
		agent := c.steps[0].exchange.dialog.agent
		if port != strconv.Itoa(int(agent.Port())) {
			c.find(Inconclusive, "record_port", fmt.Sprintf("the record's agent has port %s, the capture's %d", port, agent.Port()))
		}
	}
	return "", "a run of " + e.Start.Procedure.Name
}

// wasSent compares a sending with its request.
func (c *comparison) wasSent(e record.Event, s *Step) (wrong, text string) {
	r := s.exchange.request
	at := c.run.Start.Time.Add(e.At).Add(c.offset)
	off := s.exchange.message.begin.Time.Sub(at)
	switch {
	case s.exchange.bad != nil:
		return "what was sent is no request: " + s.exchange.bad.Detail, ""
	case r.StepID != e.StepID:
		return fmt.Sprintf("step %d was sent instead", r.StepID), ""
	case r.Timeout.Declared && r.Timeout.Duration != e.Timeout:
		return fmt.Sprintf("it was sent with a timeout of %s, the record says %s", declared(r.Timeout.Duration), declared(e.Timeout)), ""
	case r.Interval.Declared && r.Interval.Duration != e.Interval:
		return fmt.Sprintf("it was sent with an interval of %s, the record says %s", declared(r.Interval.Duration), declared(e.Interval)), ""
	case off.Abs() > c.v.opts.Tolerances.Record:
		return fmt.Sprintf("it was sent %s from when the record says", span(off.Abs())), ""
	}
	return "", "sent in packet " + strconv.Itoa(s.Request.Packet)
}

// settled compares what became of a step.
func (c *comparison) settled(e record.Event, s *Step) (wrong, text string) {
	shown := "the capture shows: " + s.Sentence
	switch e.Kind {
	case record.KindReply, record.KindLate:
		a := s.exchange.reply()
		inTime := s.Outcome == Passed || s.Outcome == Refused || s.Outcome == Unjudged
		switch {
		case a == nil:
			return "the record has a reply, " + shown, ""
		case !sameReply(a.reply, *e.Reply):
			return fmt.Sprintf("the reply on the wire is another: %.200s", a.message.raw), ""
		case (s.response - e.Took).Abs() > c.v.opts.Tolerances.Record:
			return fmt.Sprintf("the reply took %s by the record, and %s on the wire", span(e.Took), span(s.response)), ""
		case inTime != (e.Kind == record.KindReply) && (s.response-s.timeout).Abs() > c.v.opts.Tolerances.Record:
			return "the record says " + string(e.Kind) + ", " + shown, ""
		}
		return "", fmt.Sprintf("reply in packet %d, %s after the request", s.Reply.Packet, span(s.response))
	case record.KindTimeout:
		nearly := s.Reply != nil && (s.response-s.timeout).Abs() <= c.v.opts.Tolerances.Record
		if s.Outcome != TimedOut && s.Outcome != Late && !nearly {
			return "the record says timeout, " + shown, ""
		}
	case record.KindLost:
		if s.Outcome != Lost {
			return "the record says that the connection was lost, " + shown, ""
		}
	case record.KindWrong:
		if s.Outcome != Misanswered && len(s.exchange.dialog.garbled)+len(s.exchange.dialog.strays) == 0 {
			return "the record says that something else came, " + shown, ""
		}
	case record.KindInterval:
		return c.interval(e, s)
	}
	return "", s.Sentence
}

func (c *comparison) interval(e record.Event, s *Step) (wrong, text string) {
	switch {
	case !s.hasGap && c.sent[e.Index+1] == nil:
		return "", "no step follows on the wire"
	case !s.hasGap:
		return "", "when the step was over, the packets do not say"
	case (s.gap - e.Kept).Abs() > c.v.opts.Tolerances.Record:
		return fmt.Sprintf("the client waited %s by the record, and %s on the wire", span(e.Kept), span(s.gap)), ""
	}
	return "", fmt.Sprintf("waited %s", span(s.gap))
}

func (c *comparison) stray(e record.Event, s *Step) (wrong, text string) {
	switch e.Stray {
	case record.StrayDuplicate:
		if s == nil || len(s.exchange.replies) < 2 {
			return "the record has a second reply, the capture has none", ""
		}
		return "", "sent once more in packet " + strconv.Itoa(s.exchange.replies[1].message.end.Packet)
	default:
		for _, d := range c.v.dialogs {
			if len(d.strays)+len(d.garbled) > 0 {
				return "", "something that answers nothing is in the capture"
			}
		}
		return "the record has something that answers nothing, the capture has not", ""
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

// sameReply compares replies as they are on the wire.
func sameReply(a, b protocol.Reply) bool {
	return bytes.Equal(protocol.AppendReply(nil, a), protocol.AppendReply(nil, b))
}
