package database

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// A folded is what follows from the lines of a run so far. It is not safe for concurrent use.
type folded struct {
	kind    Kind
	lines   int64 // number of lines
	sum     hash.Hash
	live    record.Live
	broken  error        // of the first line that does not follow from those before it
	changed map[int]bool // indexes of steps that were not stored since they changed
	load    *LoadResult  // of KindLoad
}

func newFolded(kind Kind) *folded {
	return &folded{kind: kind, sum: sha256.New(), changed: map[int]bool{}}
}

// A LoadResult is the result of a load test.
type LoadResult struct {
	// JSON is the object that load --json prints.
	JSON jsontext.Value `json:"result"`
	// Verdict is pass, fail or undecided.
	Verdict string `json:"verdict"`
	// Cause says why it ended, as for a run.
	Cause record.Cause `json:"cause"`
	// Duration is that of the load in seconds, Steps, Passed and Failed count its steps.
	Duration float64 `json:"duration"`
	Steps    int64   `json:"steps"`
	Passed   int64   `json:"passed"`
	Failed   int64   `json:"failed"`
}

// add folds whole lines. A line that is wrong is kept as evidence: the run stays undecided, and
// f.broken is the first error.
func (f *folded) add(lines []byte) {
	f.sum.Write(lines)
	if f.kind == KindRun {
		if log, err := record.Read(bytes.NewReader(lines), "events"); err == nil { // the usual case
			f.addEvents(log.Events)
			return
		}
	}
	for line := range bytes.Lines(lines) {
		f.lines++
		if f.broken == nil {
			f.broken = f.addLine(line)
		}
	}
}

// addEvents folds events that were read already.
func (f *folded) addEvents(events []record.Event) {
	for i := range events {
		f.lines++
		if f.broken == nil {
			f.broken = f.addEvent(&events[i])
		}
	}
}

func (f *folded) addLine(line []byte) error {
	if f.kind == KindLoad {
		if f.load != nil {
			return errors.New("a load test has one result")
		}
		f.load = &LoadResult{}
		return json.Unmarshal(line, f.load)
	}
	log, err := record.Read(bytes.NewReader(line), "event")
	for i := range log.Events {
		err = f.addEvent(&log.Events[i])
	}
	return err
}

func (f *folded) addEvent(e *record.Event) error {
	if _, err := f.live.Add(*e); err != nil {
		return err
	}
	if e.Index > 0 {
		f.changed[e.Index] = true
	}
	if e.Kind == record.KindStart {
		for i := range e.Start.Procedure.Steps {
			f.changed[i+1] = true
		}
	}
	return nil
}

// A derived has the columns of a run that follow from its lines.
type derived struct {
	State                            State
	Cause                            string
	Verdict                          string
	Duration                         float64 // seconds
	Steps, Passed, Failed, Undecided int64
	SHA256, Result                   *string // NULL until the end
	Start                            *record.Start
	Agent                            string
	results                          []record.StepResult
}

// result returns what follows from the lines. State is Ended or Running.
func (f *folded) result() derived {
	if f.kind == KindLoad {
		return f.loadResult()
	}
	if f.lines == 0 {
		return derived{State: Running, Verdict: record.Undecided.String()}
	}
	run := f.live.Run()
	d := derive(&run)
	if f.broken != nil {
		d.State, d.Verdict = Running, record.Undecided.String() // nothing that is damaged passes
	}
	if d.State == Ended {
		d.SHA256 = f.hash()
	}
	return d
}

func (f *folded) hash() *string {
	sum := hex.EncodeToString(f.sum.Sum(nil))
	return &sum
}

func (f *folded) loadResult() derived {
	if f.load == nil || f.broken != nil {
		return derived{State: Running, Verdict: record.Undecided.String()}
	}
	l, text := f.load, string(f.load.JSON)
	return derived{State: Ended, Cause: string(l.Cause), Verdict: l.Verdict, Duration: l.Duration,
		Steps: l.Steps, Passed: l.Passed, Failed: l.Failed, SHA256: f.hash(), Result: &text}
}

// derive returns the columns of a run, without the hash of its record.
func derive(run *record.Run) derived {
	d := derived{State: Running, Cause: string(run.Cause), Verdict: run.Verdict.String(), Duration: run.Duration.Seconds(),
		Steps: int64(len(run.Steps)), Start: &run.Start, results: run.Steps}
	if run.Start.Format == 0 {
		d.Start = nil // there is none
	}
	if !run.Cut() {
		d.State = Ended
	}
	if len(run.Agents) > 0 {
		d.Agent = storable(run.Agents[len(run.Agents)-1])
	}
	d.Passed = int64(run.Counts[record.Passed])
	d.Undecided = int64(run.Counts[record.NotRun] + run.Counts[record.Unanswered])
	d.Failed = d.Steps - d.Passed - d.Undecided
	return d
}
