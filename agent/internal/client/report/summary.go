package report

import (
	"encoding/json"
	"io"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// A summary is a run as JSON. Keys are only ever added. Durations are in seconds.
type summary struct {
	Verdict   record.Verdict   `json:"verdict"`
	Sentence  string           `json:"sentence"`
	Cause     record.Cause     `json:"cause,omitempty"`
	Procedure procedureSummary `json:"procedure"`
	Client    string           `json:"client,omitempty"`
	Agents    []string         `json:"agents,omitempty"`
	Host      string           `json:"host,omitempty"`
	Address   string           `json:"address"`
	Session   string           `json:"session,omitempty"`
	Started   time.Time        `json:"started"`
	Duration  float64          `json:"duration"`
	Counts    record.Counts    `json:"counts"`
	// Strays counts all messages that answer no request, Dropped those that were not kept.
	Strays  int           `json:"strays"`
	Dropped int           `json:"dropped,omitempty"`
	Steps   []stepSummary `json:"steps"`
	// Where is present if the agent's record was joined.
	Where *whereSummary `json:"where,omitempty"`
}

// A whereSummary says where the time of all answered steps went.
type whereSummary struct {
	partSummary
	Counted   int      `json:"counted"`
	Intervals float64  `json:"intervals"`
	Between   float64  `json:"between"`
	Dropped   uint64   `json:"dropped"`
	Versions  []string `json:"versions"`
}

type partSummary struct {
	Waited     float64 `json:"waited"`
	Link       float64 `json:"link"`
	Queue      float64 `json:"agent_queue"`
	Validators float64 `json:"validators"`
	Fault      float64 `json:"fault"`
	Agent      float64 `json:"agent"`
}

// An agentSummary is a step as the agent recorded it.
type agentSummary struct {
	partSummary
	Whole      bool   `json:"whole"`
	ErrorCode  int    `json:"error_code"`
	Reason     string `json:"reason,omitempty"`
	Fault      string `json:"fault_kind,omitempty"`
	Arrivals   int    `json:"arrivals"`
	Generation uint64 `json:"generation,omitempty"`
}

type procedureSummary struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

type stepSummary struct {
	Index    int            `json:"index"`
	StepID   int64          `json:"step_id"`
	Outcome  record.Outcome `json:"outcome"`
	Reason   string         `json:"reason,omitempty"`
	Detail   string         `json:"detail,omitempty"`
	Timeout  float64        `json:"timeout"`
	Interval float64        `json:"interval"`
	// Response is absent if the step has no reply, Kept if no wait followed the step, and Late
	// if no reply came after the timeout.
	Response *float64 `json:"response,omitempty"`
	Kept     *float64 `json:"kept,omitempty"`
	Late     *float64 `json:"late,omitempty"`
	// Agent is present if the agent's record was joined and has the step.
	Agent *agentSummary `json:"agent,omitempty"`
}

// Summary writes the run as one indented JSON object and a newline: the verdict, the text of
// Sentence, the result of each expected step and, if split is not nil, where the time went.
func Summary(w io.Writer, run record.Run, split *Split) error {
	s := summary{
		Verdict: run.Verdict, Sentence: Sentence(run), Cause: run.Cause,
		Procedure: procedureSummary{Name: run.Start.Procedure.Name, SHA256: run.Start.Procedure.SHA256},
		Client:    run.Start.Client, Agents: run.Agents, Host: run.Start.Host, Address: run.Start.Address,
		Session: run.Start.Session, Started: run.Start.Time, Duration: run.Duration.Seconds(),
		Counts: run.Counts, Strays: run.Unasked(), Dropped: run.Dropped, Steps: []stepSummary{},
	}
	for i, step := range run.Steps {
		s.Steps = append(s.Steps, summarize(step))
		if split != nil && split.Steps[i].Known {
			v := split.Steps[i]
			s.Steps[i].Agent = &agentSummary{partSummary: partOf(v.Part), Whole: v.Whole, ErrorCode: v.ErrorCode, Reason: v.Reason,
				Fault: v.FaultKind, Arrivals: v.Arrivals, Generation: v.Generation}
		}
	}
	if split != nil {
		s.Where = &whereSummary{partSummary: partOf(split.Total), Counted: split.Counted, Intervals: split.Intervals.Seconds(),
			Between: split.Between.Seconds(), Dropped: split.Dropped, Versions: split.Versions}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(s)
}

func summarize(step record.StepResult) stepSummary {
	s := stepSummary{
		Index: step.Index, StepID: step.StepID, Outcome: step.Outcome,
		Reason: string(step.Reason), Detail: step.Detail,
		Timeout: step.Timeout.Seconds(), Interval: step.Interval.Seconds(),
	}
	if Replied(step.Outcome) {
		s.Response = seconds(step.Took)
	}
	if step.Kept.Declared {
		s.Kept = seconds(step.Kept.Duration)
	}
	if step.Late != nil {
		s.Late = seconds(step.Late.Took)
	}
	return s
}

func partOf(p Part) partSummary {
	return partSummary{Waited: p.Waited.Seconds(), Link: p.Link.Seconds(), Queue: p.Queue.Seconds(),
		Validators: p.Validators.Seconds(), Fault: p.Fault.Seconds(), Agent: p.Agent.Seconds()}
}

func seconds(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}
