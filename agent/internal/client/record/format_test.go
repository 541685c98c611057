package record

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A record of the first release, with every kind of event but two, is read for ever. The
// file is not changed; a later format adds another.
func TestRecordOfTheFirstRelease(t *testing.T) {
	log, err := ReadFile("testdata/format1.jsonl")
	if err != nil || log.Cut {
		t.Fatalf("cut %t, error %v", log.Cut, err)
	}
	run, err := log.Fold()
	if err != nil {
		t.Fatal(err)
	}
	want := []Outcome{Passed, TimedOut, Failed, ConnectionLost, Passed, WrongReply, TimedOut, Failed}
	for i, outcome := range want {
		if run.Steps[i].Outcome != outcome {
			t.Errorf("step at index %d: %v, want %v", i+1, run.Steps[i].Outcome, outcome)
		}
	}
	if run.Verdict != Fail || run.Cause != Finished || len(run.Strays) != 1 || run.Steps[1].Late == nil ||
		run.Start.Host != "bench-7" || len(run.Agents) != 0 || run.Duration != 1613810531*time.Nanosecond {
		t.Errorf("it comes to %+v", run)
	}
}

// What agents say of themselves is told once each, in order, and no more than some of it.
func TestAgents(t *testing.T) {
	named := func(events []Event, at int, agent string) []Event {
		events[at].Reply.Agent = agent
		return events
	}
	for want, events := range map[string][]Event{
		"":                               soundRun(),
		"stepagent 1.1.0":                named(named(soundRun(), 2, "stepagent 1.1.0"), 5, "stepagent 1.1.0"),
		"stepagent 1.1.0, stepagent 2.0": named(named(soundRun(), 2, "stepagent 1.1.0"), 5, "stepagent 2.0"),
	} {
		run, err := Fold(events)
		if err != nil || strings.Join(run.Agents, ", ") != want {
			t.Errorf("agents %q, error %v, want %q", run.Agents, err, want)
		}
	}
	known := soundRun()
	known[0].Start.Agent = "1.1.0"
	if run, err := Fold(known); err != nil || !slices.Equal(run.Agents, []string{"stepagent 1.1.0"}) {
		t.Errorf("agents %q, error %v", run.Agents, err)
	}
	events := soundRun()[:3]
	for n := range 2 * maxAgents {
		stray := Event{Kind: KindStray, At: events[2].At, Stray: StrayUnsolicited,
			Reply: &protocol.Reply{StepID: id(1), Agent: strings.Repeat("x", n+1)}}
		events = append(events, stray)
	}
	if run, err := Fold(events); err != nil || len(run.Agents) != maxAgents {
		t.Errorf("%d agents, error %v", len(run.Agents), err)
	}
}
