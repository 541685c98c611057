// Package result holds what a verification found: verdicts, findings, sessions and steps. It writes
// them as JSON (docs/verify.md describes the fields) and as text.
package result

import (
	"cmp"
	"net/netip"
	"path/filepath"
	"strconv"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
)

// Format is the version of the JSON form of a Report.
const Format = 1

// A Report is the result for one capture.
type Report struct {
	Format  int          `json:"format"`
	File    capture.File `json:"file"`
	Verdict Verdict      `json:"verdict"`
	// Summary is sentences about what the capture shows.
	Summary []string `json:"summary"`
	// Findings are about the capture as a whole or one of its connections.
	Findings Findings `json:"findings"`
	// Rules names the validators.
	Rules string `json:"rules"`
	// Agents are the addresses of the agents.
	Agents []netip.AddrPort `json:"agents"`
	// Connections is the number of connections with an agent, Foreign that of others.
	Connections int `json:"connections"`
	Foreign     int `json:"foreign_connections"`
	// Sessions are in the order of their first steps.
	Sessions []*Session `json:"sessions"`
	// Outside are messages that belong to no session.
	Outside []*Step `json:"outside"`
	// Record is the comparison with a run record; nil without one.
	Record *RecordMatch `json:"record,omitempty"`
}

// A Session is a session of an agent.
type Session struct {
	ID     string         `json:"id"`
	Agent  netip.AddrPort `json:"agent"`
	Client netip.AddrPort `json:"client"`
	// Named says that the client named the session.
	Named bool `json:"named"`
	// Complete says that the session had its last step.
	Complete bool     `json:"complete"`
	Verdict  Verdict  `json:"verdict"`
	Summary  []string `json:"summary"`
	Steps    []*Step  `json:"steps"`
	Findings Findings `json:"findings"`
}

// A Step is one request and its outcome.
type Step struct {
	StepID *int64 `json:"step_id"`
	// Position is that of the step in its session, from 1; 0 for none.
	Position int     `json:"position,omitempty"`
	Request  Message `json:"request"`
	// Reply is the first reply; nil when there is none.
	Reply *Message `json:"reply"`
	// Code, Reason and Detail are those of the reply.
	Code   *int   `json:"error_code"`
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
	Req    string `json:"req,omitempty"`
	// Response, Timeout, Interval and Gap are in seconds. Gap is the time from the end of this
	// step to the start of the next.
	Response *float64 `json:"response"`
	Timeout  *float64 `json:"timeout"`
	Interval *float64 `json:"interval"`
	// IntervalGiven says that the interval is from the step file, the request declares none.
	IntervalGiven bool     `json:"interval_given,omitempty"`
	Gap           *float64 `json:"gap"`
	Outcome       Outcome  `json:"outcome"`
	// AgainIn is the packet of the request with which the client sent this one again, because it got no
	// verdict; 0 for none. The outcome of the step is that of the last of them.
	AgainIn int `json:"again_in,omitempty"`
	// RepeatOf is the packet of the request that this one repeats; 0 for none.
	RepeatOf int `json:"repeat_of,omitempty"`
	// Now is what the validators say now; nil where they were not asked.
	Now *Now `json:"now"`
	// Verdict says whether the capture supports the claims about the step.
	Verdict  Verdict  `json:"verdict"`
	Sentence string   `json:"sentence"`
	Findings Findings `json:"findings"`
}

// Name names the step in sentences.
func (s *Step) Name() string {
	return cmp.Or(phrase.After("step ", number(s.StepID)), "a message without a step id")
}

// number returns a step id as text; empty for none.
func number(id *int64) string {
	if id == nil {
		return ""
	}
	return strconv.FormatInt(*id, 10)
}

// A Message is one message on the wire.
type Message struct {
	// First and Packet are the packets that complete the first byte and the last.
	First  int       `json:"first_packet"`
	Packet int       `json:"packet"`
	Time   time.Time `json:"time"`
	Text   string    `json:"text"`
}

// Now is the verdict of the validators during the verification.
type Now struct {
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	Detail  string `json:"detail,omitempty"`
	By      string `json:"by,omitempty"`
	Fault   string `json:"fault,omitempty"`
}

// An Outcome is what the packets show of a step.
type Outcome string

// The outcomes.
const (
	// Passed: the reply came in time, with code 0.
	Passed Outcome = "passed"
	// Refused: the reply came in time, with another code.
	Refused Outcome = "refused"
	// Unjudged: the agent could not judge the step, for a fault of its own.
	Unjudged Outcome = "not_judged"
	// Late: the reply came after the timeout.
	Late Outcome = "late"
	// TimedOut: no reply came, and the timeout passed.
	TimedOut Outcome = "timed_out"
	// Lost: the agent ended the connection before a reply came.
	Lost Outcome = "lost"
	// Abandoned: the client closed the connection or went on before its timeout and a reply.
	Abandoned Outcome = "abandoned"
	// Unanswered: the capture does not show whether there was a reply in time.
	Unanswered Outcome = "unanswered"
	// Misanswered: the reply is for another step.
	Misanswered Outcome = "wrong_reply"
)

// A RecordMatch is the comparison of a run record with the capture.
type RecordMatch struct {
	Name    string  `json:"name"`
	Session string  `json:"session,omitempty"`
	Verdict Verdict `json:"verdict"`
	// Offset is the clock of the capture minus that of the client, in seconds.
	Offset *float64     `json:"clock_offset"`
	Events []EventMatch `json:"events"`
	// Findings are about the record as a whole.
	Findings Findings `json:"findings"`
}

// An EventMatch is the comparison of one event of a record.
type EventMatch struct {
	Line    int     `json:"line"`
	Event   string  `json:"event"`
	StepID  *int64  `json:"step_id,omitempty"`
	Verdict Verdict `json:"verdict"`
	Text    string  `json:"text"`
	Packet  int     `json:"packet,omitempty"`
}

// New returns a report without findings on a capture that is judged by rules.
func New(c *capture.Capture, rules string) *Report {
	r := &Report{
		Format: Format, Verdict: Pass, Rules: rules, File: c.File,
		Summary: []string{}, Findings: Findings{}, Agents: []netip.AddrPort{},
		Sessions: []*Session{}, Outside: []*Step{},
	}
	r.File.Name = filepath.Clean(c.Name)
	return r
}
