package verify

import (
	"net/netip"
	"path/filepath"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
)

// Format is the version of the JSON form of a Report.
const Format = 1

// A Report is what is to be said of a capture. Its JSON form is described in docs/verify.md.
type Report struct {
	Format  int     `json:"format"`
	File    File    `json:"file"`
	Verdict Verdict `json:"verdict"`
	// Summary says in sentences what the capture shows.
	Summary []string `json:"summary"`
	// Findings are about the capture as a whole, or about one of its connections.
	Findings []Finding `json:"findings"`
	// Rules says what the validators are.
	Rules string `json:"rules"`
	// Agents are the addresses that were asked.
	Agents []netip.AddrPort `json:"agents"`
	// Connections is the number of connections with an agent, Foreign that of others.
	Connections int `json:"connections"`
	Foreign     int `json:"foreign_connections"`
	// Sessions are the runs that the agents have seen, in the order of their first steps.
	Sessions []*Session `json:"sessions"`
	// Outside are messages that are no step of any session.
	Outside []*Step `json:"outside"`
	// Record says how the record compares; nil when there is none.
	Record *RecordMatch `json:"record,omitempty"`
}

// A File is the file that a capture was read from.
type File struct {
	Name        string    `json:"name"`
	Format      string    `json:"format"`
	Gzip        bool      `json:"gzip,omitempty"`
	Links       []string  `json:"links"`
	Application string    `json:"application,omitempty"`
	Comments    []string  `json:"comments,omitempty"`
	Packets     int       `json:"packets"`
	First       time.Time `json:"first,omitzero"`
	Last        time.Time `json:"last,omitzero"`
	// Dropped is how many packets the writer lost; nil when it does not say.
	Dropped *uint64 `json:"dropped,omitempty"`
}

// A Finding is one thing that was found out. A Pass is something to know and no fault.
type Finding struct {
	Verdict Verdict `json:"verdict"`
	// Code is a word for programs; see docs/verify.md for the list, which only grows.
	Code string `json:"code"`
	// Text says it in one sentence, in lower case and without a full stop.
	Text string `json:"text"`
	// Packet is where it shows, 0 for nowhere in particular.
	Packet int `json:"packet,omitempty"`
}

// A Session is a session as the agent's own code finds it.
type Session struct {
	ID     string         `json:"id"`
	Agent  netip.AddrPort `json:"agent"`
	Client netip.AddrPort `json:"client"`
	// Named says that the client has named it.
	Named bool `json:"named"`
	// Complete says that it had its last step.
	Complete bool      `json:"complete"`
	Verdict  Verdict   `json:"verdict"`
	Summary  []string  `json:"summary"`
	Steps    []*Step   `json:"steps"`
	Findings []Finding `json:"findings"`

	seat string
	// late says that the session began before the capture did, doubt that something of it may
	// be missing in the capture, sure that no step of it can be, up to the last that is there,
	// and unclear that what may be missing might explain replies that the validators do not.
	late, doubt, sure, unclear bool
	// wrong says that there are replies which the validators do not give.
	wrong bool
	// mixed says that steps of another client may have been taken for its.
	mixed bool
	// hidden is the number of steps that are missing, by what the replies tell.
	hidden int
	// chain is that of the session; nil before the chains are known.
	chain *chain
	// slow says that the client took longer than declared after each of several steps.
	slow bool
}

// A Step is one request and what became of it.
type Step struct {
	StepID *int64 `json:"step_id"`
	// Position is the step's place in its session, from 1; 0 when it has none.
	Position int     `json:"position,omitempty"`
	Request  Message `json:"request"`
	// Reply is the first reply; nil when there is none.
	Reply *Message `json:"reply"`
	// Code, Reason and Detail are those of the reply.
	Code   *int   `json:"error_code"`
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
	Req    string `json:"req,omitempty"`
	// Response, Timeout, Interval and Gap are in seconds. Gap is the real time between the
	// end of this step and the beginning of the next.
	Response *float64 `json:"response"`
	Timeout  *float64 `json:"timeout"`
	Interval *float64 `json:"interval"`
	// IntervalGiven says that the interval is the step file's, the request declares none.
	IntervalGiven bool     `json:"interval_given,omitempty"`
	Gap           *float64 `json:"gap"`
	Outcome       Outcome  `json:"outcome"`
	// RepeatOf is the packet of the request that this one repeats.
	RepeatOf int `json:"repeat_of,omitempty"`
	// Now is what the validators say; nil where they were not asked.
	Now *Now `json:"now"`
	// Verdict says whether the capture supports what is claimed of the step.
	Verdict  Verdict   `json:"verdict"`
	Sentence string    `json:"sentence"`
	Findings []Finding `json:"findings"`

	exchange *exchange
	session  *Session
	next     *Step // the one after it, when the gap is known
	timeout  time.Duration
	hasTime  bool
	interval time.Duration
	hasWait  bool
	response time.Duration
	// after is when a step without a reply was over, and gaveUp what its client did then.
	after  time.Duration
	gaveUp string
	// unsure says why there is no telling what became of the step.
	unsure string
	// settled is when the client was done with the step; zero when there is no telling.
	settled time.Time
	gap     time.Duration
	hasGap  bool
}

// A Message is one message on the wire.
type Message struct {
	// First and Packet are the packets that completed its first byte and its last.
	First  int       `json:"first_packet"`
	Packet int       `json:"packet"`
	Time   time.Time `json:"time"`
	Text   string    `json:"text"`
}

// Now is the verdict of the validators.
type Now struct {
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	Detail  string `json:"detail,omitempty"`
	By      string `json:"by,omitempty"`
	Fault   string `json:"fault,omitempty"`
}

// An Outcome says what the packets show of a step.
type Outcome string

// The outcomes.
const (
	// Passed: the reply came in time, with code 0.
	Passed Outcome = "passed"
	// Refused: the reply came in time, with another code.
	Refused Outcome = "refused"
	// Unjudged: the agent refused the step for a fault of its own.
	Unjudged Outcome = "not_judged"
	// Late: the reply came after the timeout.
	Late Outcome = "late"
	// TimedOut: no reply came, and the timeout passed.
	TimedOut Outcome = "timed_out"
	// Lost: the agent ended the connection before a reply came.
	Lost Outcome = "lost"
	// Abandoned: the client ended the connection before its timeout, and before a reply.
	Abandoned Outcome = "abandoned"
	// Unanswered: there is no reply, and no telling whether there was one.
	Unanswered Outcome = "unanswered"
	// Misanswered: what came is no reply to this step.
	Misanswered Outcome = "wrong_reply"
)

func newReport(c *capture.Capture, opts Options) *Report {
	r := &Report{
		Format: Format, Verdict: Pass, Rules: opts.Rules,
		File: File{Name: filepath.Clean(c.Name), Format: c.Format, Gzip: c.Gzip, Links: c.Links, Application: c.Application,
			Comments: c.Comments, Packets: c.Packets, First: c.First, Last: c.Last},
		Summary: []string{}, Findings: []Finding{}, Agents: []netip.AddrPort{},
		Sessions: []*Session{}, Outside: []*Step{},
	}
	if c.DropsKnown {
		r.File.Dropped = &c.Dropped
	}
	return r
}

// find adds a finding about the capture as a whole.
func (r *Report) find(verdict Verdict, code string, packet int, text string) {
	r.Findings = append(r.Findings, Finding{Verdict: verdict, Code: code, Text: text, Packet: packet})
}

func (s *Session) find(verdict Verdict, code string, packet int, text string) {
	s.Findings = append(s.Findings, Finding{Verdict: verdict, Code: code, Text: text, Packet: packet})
}

func (s *Step) find(verdict Verdict, code string, packet int, text string) {
	s.Findings = append(s.Findings, Finding{Verdict: verdict, Code: code, Text: text, Packet: packet})
}

// verdictOf is the worst of findings.
func verdictOf(findings []Finding) Verdict {
	verdict := Pass
	for _, f := range findings {
		verdict = verdict.and(f.Verdict)
	}
	return verdict
}
