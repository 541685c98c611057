package verify_test

import (
	"slices"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
)

// The record of a run that was resumed agrees with a capture of all of it. With a capture of the rest alone
// it agrees as far as that shows, even where a step had been sent before the interruption.
func TestRecordOfAResumedRun(t *testing.T) {
	const before, next = 3, 4 // steps before the interruption, on a connection of their own; the step after it
	s := scene{session: "bench-7", acts: success(), apart: true}
	packets := s.perform()
	log := s.story(t, 0)
	at := slices.IndexFunc(log.Events, func(e record.Event) bool { return e.Kind == record.KindInterval && e.Index == before })
	log.Events[at].At -= 100 * ms // before the next connection
	resumed := func(waiting bool) *record.Log {
		kept := log.Events[at]
		events := slices.Clone(log.Events[:at+1])
		if waiting {
			sent := log.Events[at+1]
			sent.At = kept.At
			events = append(events, sent)
		}
		events = append(events, record.Event{Kind: record.KindResumed, At: kept.At, Resumed: &record.Resumed{Time: began.Add(kept.At)}})
		all := &record.Log{Name: "run.jsonl", Events: append(events, log.Events[at+1:]...)}
		if _, err := all.Fold(); err != nil {
			t.Fatal(err)
		}
		return all
	}
	opts := rules(t)
	opts.Record = resumed(false)
	if r := judge(t, packets, opts); r.Record.Verdict != result.Pass {
		t.Errorf("with all packets the record is %s:\n%s", r.Record.Verdict, text(t, r))
	}
	rest := capturetest.Merge(s.talks[1:]...)
	for _, waiting := range []bool{false, true} {
		opts.Record = resumed(waiting)
		r := judge(t, rest, opts)
		if r.Record.Verdict != result.Inconclusive {
			t.Errorf("with the rest of the packets the record is %s:\n%s", r.Record.Verdict, text(t, r))
		}
		for i, m := range r.Record.Events {
			e := opts.Record.Events[i]
			early := e.Index > 0 && (e.Index < next || i == at+1 && waiting)
			if want := map[bool]result.Verdict{true: result.Inconclusive, false: result.Pass}[early]; m.Verdict != want {
				t.Errorf("event %d, %s of step %d, is %s: %s", i+1, e.Kind, e.Index, m.Verdict, m.Text)
			}
		}
	}
}
