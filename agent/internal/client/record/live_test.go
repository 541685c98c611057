package record_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// Live knows after each event what Fold knows of all events so far.
func TestLiveIsFold(t *testing.T) {
	id := int64(7)
	step := record.Step{StepID: id, Timeout: time.Second}
	events := []record.Event{
		{Kind: record.KindStart, Start: &record.Start{Format: record.Format,
			Procedure: record.Procedure{Steps: []record.Step{step, step}}}},
		{Kind: record.KindSent, Index: 1, StepID: id, Timeout: time.Second},
		{Kind: record.KindTimeout, Index: 1, StepID: id, Took: time.Second},
		{Kind: record.KindLate, Index: 1, StepID: id, Took: 2 * time.Second, Reply: &protocol.Reply{StepID: &id}},
		{Kind: record.KindInterval, Index: 1, StepID: id},
		{Kind: record.KindSent, Index: 2, StepID: id, Timeout: time.Second},
		{Kind: record.KindReply, Index: 2, StepID: id, Reply: &protocol.Reply{StepID: &id}},
		{Kind: record.KindEnd, End: &record.End{Cause: record.Finished,
			Counts: record.Counts{record.TimedOut: 1, record.Passed: 1}}},
	}
	var live record.Live
	for i, e := range events {
		got, err := live.Add(e)
		if err != nil {
			t.Fatal(err)
		}
		run, err := record.Fold(events[:i+1])
		if err != nil {
			t.Fatal(err)
		}
		want := record.StepResult{}
		if e.Index > 0 {
			want = run.Steps[e.Index-1]
		}
		if got.Index != want.Index || got.Outcome != want.Outcome || got.Reason != want.Reason || (got.Late == nil) != (want.Late == nil) {
			t.Errorf("event %d: got %+v, want %+v", i+1, got, want)
		}
	}
	var wrong *record.EventError
	if _, err := live.Add(events[1]); !errors.As(err, &wrong) || wrong.Event != len(events)+1 {
		t.Errorf("an event after the end gave %v", err)
	}
}
