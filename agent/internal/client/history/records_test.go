package history_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// start is when the first run of a test starts.
var start = time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)

// A night is a run of a test: the seconds that each step takes, or 0 for a timeout and less for a
// refusal after the time without its sign.
type night struct {
	steps   []float64
	content string
	ids     []int64 // of the steps; nil for 1, 2, 3...
}

// record returns the record of the run.
func (n night) record(tb testing.TB, at time.Time) []byte {
	tb.Helper()
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	const timeout = 2 * time.Second
	procedure := record.Procedure{Name: "night.json", SHA256: n.content}
	for i := range n.steps {
		id := int64(i + 1)
		if n.ids != nil {
			id = n.ids[i]
		}
		procedure.Steps = append(procedure.Steps, record.Step{StepID: id, Timeout: timeout})
	}
	var b bytes.Buffer
	w := record.NewWriter(&b)
	now, counts := time.Duration(0), record.Counts{}
	write := func(e record.Event) {
		tb.Helper()
		e.At = now
		must(tb, w.Write(e))
	}
	write(record.Event{Kind: record.KindStart, Start: &record.Start{Format: record.Format, Client: "1.1.0", Agent: "1.1.0", Host: "pc", Address: "b:8080", Time: at, Procedure: procedure}})
	for i, took := range n.steps {
		step := record.Event{Index: i + 1, StepID: procedure.Steps[i].StepID}
		sent := step
		sent.Kind, sent.Timeout = record.KindSent, timeout
		write(sent)
		end := step
		end.Kind, end.Took = record.KindReply, seconds(max(took, -took))
		end.Reply = &protocol.Reply{StepID: &step.StepID}
		outcome := record.Passed
		switch {
		case took == 0:
			end.Kind, end.Took, end.Reply, outcome = record.KindTimeout, timeout, nil, record.TimedOut
		case took < 0:
			end.Reply.ErrorCode, end.Reply.Reason, outcome = 1, "out_of_order", record.Failed
		}
		counts[outcome]++
		now += end.Took
		write(end)
		if i < len(n.steps)-1 {
			interval := step
			interval.Kind = record.KindInterval
			write(interval)
		}
	}
	write(record.Event{Kind: record.KindEnd, End: &record.End{Cause: record.Finished, Counts: counts}})
	return b.Bytes()
}

// add stores nights, a day apart from a day after start, and returns their ids.
func add(tb testing.TB, db *database.DB, day int, m database.Meta, nights ...night) []string {
	tb.Helper()
	var ids []string
	for i, n := range nights {
		id, added, err := db.Add(context.Background(), "night.jsonl", n.record(tb, start.AddDate(0, 0, day+i)), m)
		if err != nil || !added {
			tb.Fatalf("added %t, error %v", added, err)
		}
		ids = append(ids, id)
	}
	return ids
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
