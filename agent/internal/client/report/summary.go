package report

import (
	"cmp"
	"errors"
	"io"
	"iter"
	"maps"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// A summary is a run as JSON. Keys are only ever added. Durations are in seconds.
type summary struct {
	// Board and Result are those of a Board, absent for a run on one board.
	Board     string           `json:"board,omitempty"`
	Result    string           `json:"result,omitempty"`
	Verdict   record.Verdict   `json:"verdict"`
	Sentence  string           `json:"sentence"`
	Cause     record.Cause     `json:"cause,omitempty"`
	Procedure procedureSummary `json:"procedure"`
	Client    string           `json:"client,omitempty"`
	Agents    []string         `json:"agents,omitempty"`
	Host      string           `json:"host,omitempty"`
	Address   string           `json:"address"`
	// Addresses are those of all agents that the run might go on with, absent for one alone. Moved says when
	// it went on at another than the one before.
	Addresses []string      `json:"addresses,omitempty"`
	Moved     []move        `json:"moved,omitempty"`
	Session   string        `json:"session,omitempty"`
	TLS       []record.TLS  `json:"tls,omitempty"`
	Started   time.Time     `json:"started"`
	Duration  time.Duration `json:"duration"`
	Counts    record.Counts `json:"counts"`
	// Reconnects and Away are those of record.Run, absent for a run that was not interrupted.
	Reconnects int           `json:"reconnects,omitempty"`
	Away       time.Duration `json:"away,omitempty"`
	// Resumed says when the run went on after the client had been interrupted.
	Resumed []resumption `json:"resumed,omitempty"`
	// Strays counts all messages that answer no request, Dropped those that were not kept.
	Strays  int           `json:"strays"`
	Dropped int           `json:"dropped,omitempty"`
	Steps   []stepSummary `json:"steps"`
	// Where says where the time of all answered steps went, if the agent's record was joined.
	Where *Split `json:"where,omitempty"`
}

type procedureSummary struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

type resumption struct {
	Away time.Duration `json:"away"`
	Time time.Time     `json:"time"`
	// Index is that of the step with which the run went on; one more than there are steps if every
	// step was settled. Sent says that it had been sent before.
	Index   int    `json:"index"`
	Sent    bool   `json:"sent"`
	Address string `json:"address,omitempty"`
}

type stepSummary struct {
	Index    int            `json:"index"`
	StepID   int64          `json:"step_id"`
	Outcome  record.Outcome `json:"outcome"`
	Reason   string         `json:"reason,omitempty"`
	Detail   string         `json:"detail,omitempty"`
	Timeout  time.Duration  `json:"timeout"`
	Interval time.Duration  `json:"interval"`
	// Response is absent if the step has no reply, Kept if no wait followed the step, and Late
	// if no reply came after the timeout.
	Response *time.Duration `json:"response,omitempty"`
	Kept     *time.Duration `json:"kept,omitempty"`
	Late     *time.Duration `json:"late,omitempty"`
	// Tries and the next are present if the step was tried again.
	Tries      int           `json:"tries,omitempty"`
	Retry      record.Retry  `json:"retry,omitempty"`
	Reconnects int           `json:"reconnects,omitempty"`
	Away       time.Duration `json:"away,omitempty"`
	// Address is the agent to which the step went last, absent if that is the one of the run.
	Address string `json:"address,omitempty"`
	// Agent is present if the agent's record was joined and has the step.
	Agent *View `json:"agent,omitempty"`
}

// summaryFormat is the format of encoding/json, which earlier versions used, with durations in
// seconds.
var summaryFormat = json.JoinOptions(jsonv1.DefaultOptionsV1(), jsontext.EscapeForHTML(false), jsontext.WithIndent("  "),
	json.WithMarshalers(json.MarshalToFunc(func(out *jsontext.Encoder, d time.Duration) error {
		return out.WriteToken(jsontext.Float(d.Seconds()))
	})))

// Summary writes the run as one indented JSON object and a newline: the verdict, the text of
// Sentence, the result of each expected step and, if split is not nil, where the time went.
func Summary(w io.Writer, run record.Run, split *Split) error {
	text, err := json.Marshal(newSummary(run, split), summaryFormat)
	if err == nil {
		_, err = w.Write(append(text, '\n'))
	}
	return err
}

// SummaryAll writes the run on all boards as one indented JSON object and a newline. "boards" has an object
// for each board, that of Summary with the board's name and result. Verdict, sentence, the number of
// boards with each result, start and duration follow it, so that no more than one board is held in memory.
func SummaryAll(w io.Writer, boards iter.Seq[Board]) error {
	out := jsontext.NewEncoder(w, summaryFormat)
	err := errors.Join(out.WriteToken(jsontext.BeginObject), out.WriteToken(jsontext.String("boards")), out.WriteToken(jsontext.BeginArray))
	var tally Tally
	for b := range boards {
		if err != nil {
			return err
		}
		tally.Add(b)
		s := newSummary(b.Run, nil)
		s.Board, s.Result, s.Address = b.Name, b.Result().String(), cmp.Or(s.Address, b.Address)
		err = json.MarshalEncode(out, s)
	}
	counts := map[string]int{}
	for _, result := range BoardResults() {
		if n := tally.Count(result); n > 0 {
			counts[result.String()] = n
		}
	}
	err = errors.Join(err, out.WriteToken(jsontext.EndArray))
	for _, member := range []any{ // names and values in turn
		"verdict", tally.Verdict(), "sentence", tally.Sentence(), "counts", counts,
		"started", tally.Started(), "duration", tally.Duration(),
	} {
		err = errors.Join(err, json.MarshalEncode(out, member))
	}
	return errors.Join(err, out.WriteToken(jsontext.EndObject))
}

func newSummary(run record.Run, split *Split) summary {
	s := summary{
		Verdict: run.Verdict, Sentence: Sentence(run), Cause: run.Cause,
		Procedure: procedureSummary{Name: run.Start.Procedure.Name, SHA256: run.Start.Procedure.SHA256},
		Client:    run.Start.Client, Agents: run.Agents, Host: run.Start.Host, Address: run.Start.Address, Addresses: run.Start.Addresses, Moved: movesOf(run),
		Session: run.Start.Session, TLS: run.TLS, Started: run.Start.Time, Duration: run.Duration,
		Counts: record.Counts{}, Reconnects: run.Reconnects, Away: run.Away, Strays: run.Unasked(), Dropped: run.Dropped, Steps: []stepSummary{}, Where: split,
	}
	maps.Copy(s.Counts, run.Counts)
	for _, r := range run.Resumptions {
		s.Resumed = append(s.Resumed, resumption{r.Away, r.Time, r.Next, r.Sent, r.Address})
	}
	for i, step := range run.Steps {
		s.Steps = append(s.Steps, summarize(step))
		if split != nil && split.Steps[i].Known {
			s.Steps[i].Agent = &split.Steps[i]
		}
	}
	return s
}

func summarize(step record.StepResult) stepSummary {
	s := stepSummary{
		Index: step.Index, StepID: step.StepID, Outcome: step.Outcome,
		Reason: string(step.Reason), Detail: step.Detail, Timeout: step.Timeout, Interval: step.Interval, Address: step.Address,
	}
	if Replied(step.Outcome) {
		s.Response = &step.Took
	}
	if step.Kept.Declared {
		s.Kept = &step.Kept.Duration
	}
	if step.Late != nil {
		s.Late = &step.Late.Took
	}
	if step.Retry != "" {
		s.Tries, s.Retry, s.Reconnects, s.Away = step.Tries, step.Retry, step.Reconnects, step.Away
	}
	return s
}
