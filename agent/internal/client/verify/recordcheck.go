package verify

import (
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A recordCheck compares a run record with the capture, event by event.
type recordCheck struct {
	*evidence
	log   *record.Log
	match *result.RecordMatch
	steps []*step // of the run, as they were sent
	// sent are the requests by their index in the record: the last, if one was sent again. first are the
	// first ones, and by line has all of them, which recorded has too.
	sent, first, byLine map[int]*step
	recorded            map[*step]bool
	// begins is the line of the resumption before which the capture has nothing; 0 if it may have.
	begins int
	// offset is the clock of the capture minus that of the client.
	offset time.Duration
	// identified says that a session or a req shows that record and capture are of one run.
	identified bool
}

func newRecordCheck(e *evidence, log *record.Log) *recordCheck {
	return &recordCheck{evidence: e, log: log, sent: map[int]*step{}, first: map[int]*step{}, byLine: map[int]*step{}, recorded: map[*step]bool{}, match: &result.RecordMatch{
		Name: log.Name, Session: e.recordedRun.Start.Session, Events: []result.EventMatch{}, Findings: result.Findings{},
	}}
}

func (c *recordCheck) run() *result.RecordMatch {
	c.selectSteps()
	c.pairSteps()
	c.compareClocks()
	c.comparePorts()
	for i, e := range c.log.Events {
		c.match.Events = append(c.match.Events, c.compareEvent(i+1, e))
	}
	c.checkUnrecorded()
	if c.log.Cut || c.recordedRun.Cut() {
		c.match.Findings.Add(result.Pass, "record_cut", 0, "the record has no end: the client was killed, or is still running")
	}
	if p, sum := c.opts.Procedure, c.recordedRun.Start.Procedure.SHA256; p != nil && p.SHA256 != sum {
		c.match.Findings.Add(result.Fail, "record_procedure", 0, "the record is of another step file than %s: its sha256 is %s", p.Name, sum)
	}
	c.match.Verdict = c.match.Findings.Verdict()
	for _, e := range c.match.Events {
		c.match.Verdict = c.match.Verdict.And(e.Verdict)
	}
	return c.match
}

// selectSteps finds the steps of the run: those of its session, or of the client without a session
// name that sent most of its steps. A run that may have gone on at another agent has them at several.
func (c *recordCheck) selectSteps() {
	run, best, several := c.recordedRun, -1, c.severalAgents()
	session := run.Start.Session
	for _, chain := range c.chains {
		fits := 0
		for i, s := range chain.steps {
			if i < len(run.Steps) && s.StepID != nil && *s.StepID == run.Steps[i].StepID {
				fits++
			}
		}
		first := chain.sessions[0]
		named := first.Named && first.ID == session
		if session != "" && !named || session == "" && first.Named || fits <= best && !several {
			continue
		}
		if best, c.identified = fits, named; !several {
			c.steps = nil
		}
		for _, s := range chain.sessions {
			c.steps = append(c.steps, s.steps...)
		}
	}
	for _, s := range c.outside {
		x := s.exchange
		if x.Bad != nil && x.Bad.Session == session || x.Bad == nil && x.Request.Session == session && session != "" {
			c.steps = append(c.steps, s)
		}
	}
	slices.SortStableFunc(c.steps, func(a, b *step) int { return a.exchange.Sent().Compare(b.exchange.Sent()) })
	if len(c.steps) > 0 || run.Counts[record.NotRun]+run.Counts[record.Unreachable] >= len(run.Steps) {
		return
	}
	verdict := result.FailUnless(!c.seemsComplete())
	if session != "" {
		c.match.Findings.Add(verdict, "record_session", 0, "the session %q of the record is not in the capture", session)
	} else {
		c.match.Findings.Add(verdict, "record_session", 0, "no client without a session is in the capture")
	}
}

// seemsComplete reports whether the capture has sessions and none lacks packets. A session of
// which all packets are missing does not show.
func (c *recordCheck) seemsComplete() bool {
	complete := len(c.sessions) > 0 && c.report.Findings.Verdict() != result.Inconclusive
	for _, s := range c.sessions {
		complete = complete && s.Verdict != result.Inconclusive && (s.Complete || c.ended(s))
	}
	return complete
}

// pairSteps finds the request of each event that sends one: by its req, else the next with its step_id.
func (c *recordCheck) pairSteps() {
	byReq := map[protocol.ReqID][]*step{}
	for _, s := range c.steps {
		byReq[s.exchange.Req()] = append(byReq[s.exchange.Req()], s)
	}
	pair := func(line, index int, s *step) {
		c.byLine[line], c.sent[index], c.recorded[s] = s, s, true
		if c.first[index] == nil || c.log.Events[line-1].Kind == record.KindSent {
			c.first[index] = s
		}
	}
	next := 0
	reqs := map[int]protocol.ReqID{}
	c.begins = c.resumption()
	for i, e := range c.log.Events {
		if i+1 < c.begins {
			continue
		}
		if e.Kind == record.KindSent {
			reqs[e.Index] = e.Req
		}
		switch req := reqs[e.Index]; {
		case e.Kind != record.KindSent && e.Kind != record.KindResent:
		case !req.IsZero():
			if same := byReq[req]; len(same) > 0 {
				pair(i+1, e.Index, same[0])
				byReq[req], c.identified = same[1:], true
			}
		default:
			fits := func(s *step) bool { return !c.recorded[s] && s.StepID != nil && *s.StepID == e.StepID }
			if at := slices.IndexFunc(c.steps[next:], fits); at >= 0 {
				pair(i+1, e.Index, c.steps[next+at])
				next += at + 1
			}
		}
	}
}

// time returns when an event happened, by the clock of the capture.
func (c *recordCheck) time(e record.Event) time.Time {
	return c.recordedRun.Start.Time.Add(e.At).Add(c.offset)
}

// compareClocks finds the offset of the two clocks: the median over the requests.
func (c *recordCheck) compareClocks() {
	var offsets, certain []time.Duration
	for i, e := range c.log.Events {
		if s := c.byLine[i+1]; s != nil {
			offset := s.exchange.Sent().Sub(c.time(e))
			offsets = append(offsets, offset)
			if s.exchange.SentFirst() {
				certain = append(certain, offset)
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
	c.match.Offset = secondsOf(protocol.Seconds(c.offset))
	if c.offset.Abs() <= clockTolerance {
		return
	}
	verdict, why := result.Inconclusive, ", and nothing else shows that it is the same run"
	if c.identified {
		verdict, why = result.Pass, "; session and requests show that it is the same run"
	}
	c.match.Findings.Add(verdict, "clocks", 0, "the clocks of record and capture are %s apart%s", phrase.Span(c.offset.Abs()), why)
}

// contradiction returns the verdict of a contradiction at a step: Fail, unless something that is
// missing in the capture may explain it. s is nil when its request is missing.
func (c *recordCheck) contradiction(s *step) result.Verdict {
	return result.FailUnless(s == nil || !s.exchange.Conn.Complete() ||
		s.session != nil && (s.session.mayLack || s.session.unclear || s.session.mixed))
}
