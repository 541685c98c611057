package verify

import (
	"fmt"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
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
func (v *verifier) compareRecord(log record.Log) {
	run := *v.run
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
}

func (c *comparison) find(verdict Verdict, code, text string) {
	c.match.Findings = append(c.match.Findings, Finding{Verdict: verdict, Code: code, Text: text})
}
