package report

import (
	"encoding/json"
	"io"
	"time"

	"github.com/stepagent/stepagent/agent/internal/record"
)

// A summary is a run as JSON. Keys are only ever added. Times are in seconds.
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
	Strays    int              `json:"strays"`
	Steps     []stepSummary    `json:"steps"`
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
	// Response is absent when no reply was credited to the step, Kept when the client did
	// not come to wait after it, and Late when no reply came after the timeout.
	Response *float64 `json:"response,omitempty"`
	Kept     *float64 `json:"kept,omitempty"`
	Late     *float64 `json:"late,omitempty"`
}

// JSON writes the run as one indented JSON object and a newline: its verdict, the sentence
// that Sentence gives, and for each expected step what became of it. Times are in seconds.
func JSON(w io.Writer, run record.Run) error {
	s := summary{
		Verdict: run.Verdict, Sentence: Sentence(run), Cause: run.Cause,
		Procedure: procedureSummary{Name: run.Start.Procedure.Name, SHA256: run.Start.Procedure.SHA256},
		Client:    run.Start.Client, Agents: run.Agents, Host: run.Start.Host, Address: run.Start.Address,
		Session: run.Start.Session, Started: run.Start.Time, Duration: run.Duration.Seconds(),
		Counts: run.Counts, Strays: len(run.Strays), Steps: []stepSummary{},
	}
	for _, step := range run.Steps {
		s.Steps = append(s.Steps, summarize(step))
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

func seconds(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}
