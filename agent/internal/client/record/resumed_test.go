package record

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/protocol"
)

// resumed is a run that goes on after an interruption.
func resumed(away time.Duration) Event {
	return Event{Kind: KindResumed, Resumed: &Resumed{Away: away, Time: time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)}}
}

// Wherever a run is interrupted, it goes on with what is left, and passes by what all of it shows. The
// events are a second apart.
func TestFoldOfResumedRuns(t *testing.T) {
	stopped := func(counts Counts) Event { return end(Interrupted, counts) }
	tests := []struct {
		name          string
		before, after []Event
		want          Resumption // Next and Sent
		kept          time.Duration
	}{
		{"before the first step", nil, []Event{sent(1), replied(1, 0), waited(1, time.Second), sent(2), replied(2, 0)},
			Resumption{Next: 1}, time.Second},
		{"in the first step", []Event{sent(1)}, []Event{sent(1), replied(1, 0), waited(1, time.Second), sent(2), replied(2, 0)},
			Resumption{Next: 1, Sent: true}, time.Second},
		{"in the first step, by the user", []Event{sent(1), stopped(Counts{Unanswered: 1, NotRun: 1})},
			[]Event{sent(1), replied(1, 0), waited(1, time.Second), sent(2), replied(2, 0)}, Resumption{Next: 1, Sent: true}, time.Second},
		{"while the agent was away", []Event{sent(1), again(RetryLost, 1), again(RetryUnreachable, 1)},
			[]Event{again(RetryUnreachable, 1), sent(1), replied(1, 0), waited(1, time.Second), sent(2), replied(2, 0)},
			Resumption{Next: 1, Sent: true}, time.Second},
		{"after the reply", []Event{sent(1), replied(1, 0)}, []Event{waited(1, 4*time.Second), sent(2), replied(2, 0)},
			Resumption{Next: 2}, 4 * time.Second},
		{"in the interval, by the user", []Event{sent(1), replied(1, 0), waited(1, time.Second/2), stopped(Counts{Passed: 1, NotRun: 1})},
			[]Event{waited(1, 5*time.Second), sent(2), replied(2, 0)}, Resumption{Next: 2}, 5 * time.Second},
		{"after the interval", []Event{sent(1), replied(1, 0), waited(1, time.Second)}, []Event{sent(2), replied(2, 0)},
			Resumption{Next: 2}, time.Second},
		{"before a step that could not be sent", []Event{sent(1), replied(1, 0), waited(1, time.Second), again(RetryUnreachable, 2)},
			[]Event{sent(2), replied(2, 0)}, Resumption{Next: 2}, time.Second},
		{"in the last step", []Event{sent(1), replied(1, 0), waited(1, time.Second), sent(2)}, []Event{sent(2), replied(2, 0)},
			Resumption{Next: 2, Sent: true}, time.Second},
		{"after the last reply", []Event{sent(1), replied(1, 0), waited(1, time.Second), sent(2), replied(2, 0)}, nil,
			Resumption{Next: 3}, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			events := timed(slices.Concat([]Event{start(1, 2)}, tt.before, []Event{resumed(time.Second)}, tt.after, []Event{end(Finished, Counts{Passed: 2})})...)
			run, err := Fold(events)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Resumed = *resumed(time.Second).Resumed
			if diff := cmp.Diff([]Resumption{tt.want}, run.Resumptions); diff != "" {
				t.Error(diff)
			}
			if run.Verdict != Pass || run.Cause != Finished || run.Steps[0].Kept.Duration != tt.kept {
				t.Errorf("verdict %v, cause %q, %v kept", run.Verdict, run.Cause, run.Steps[0].Kept)
			}
		})
	}
}

func TestResumptionsThatMakeNoSense(t *testing.T) {
	other := sent(1)
	other.Req = protocol.NumReq(9)
	plain := start(1, 2)
	plain.Start.Session = ""
	tests := []struct {
		name, want string
		events     []Event
	}{
		{"of nothing", "begins with its start", []Event{resumed(0), sent(1)}},
		{"without a word", "of which nothing is said", []Event{start(1, 2), {Kind: KindResumed}}},
		{"of a plain run", "without a session", []Event{plain, resumed(0)}},
		{"for longer than there was", "1.5s, and 1s", []Event{start(1, 2), resumed(1500 * time.Millisecond)}},
		{"for less than nothing", "-1s", []Event{start(1, 2), resumed(-time.Second)}},
		{"after the end", "after the end", []Event{start(1), sent(1), replied(1, 0), end(Finished, Counts{Passed: 1}), resumed(0)}},
		{"without an agent", "after the end", []Event{start(1), unreachable(1), end(Lost, Counts{Unreachable: 1}), resumed(0)}},
		{"with another req", "sent again as req 9, it was sent as 1", []Event{start(1, 2), sent(1), resumed(0), other}},
		{"with a reply to what was sent before", "not sent again", []Event{start(1, 2), sent(1), resumed(0), replied(1, 0)}},
		{"with a step too many", "turn after step 1", []Event{start(1, 2), sent(1), replied(1, 0), resumed(0), sent(1)}},
		{"with a step too few", "turn after step 1", []Event{start(1, 2, 3), sent(1), replied(1, 0), waited(1, time.Second), resumed(0), sent(3)}},
		{"with a step that is still open", "before the interval", []Event{start(1, 2), sent(1), resumed(0), sent(2)}},
		{"without the interval", "before the interval", []Event{start(1, 2), sent(1), replied(1, 0), resumed(0), sent(2)}},
		{"with half of the interval", "was not kept", []Event{start(1, 2), sent(1), replied(1, 0), waited(1, time.Second/2), resumed(0), sent(2)}},
		{"with a second interval", "a second interval", []Event{start(1, 2), sent(1), replied(1, 0), waited(1, time.Second), resumed(0), waited(1, time.Second)}},
		{"and sent twice", "turn after step 1", []Event{start(1, 2), sent(1), resumed(0), sent(1), sent(1)}},
		{"and resent", "was not to be tried again", []Event{start(1, 2), sent(1), resumed(0), resent(1)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run, err := Fold(timed(tt.events...))
			if err == nil || !strings.Contains(err.Error(), tt.want) || run.Steps != nil {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// interrupt cuts the events of a run somewhere, as a kill or the user does, and goes on from there.
func interrupt(t *rapid.T, events []Event) []Event {
	at := rapid.IntRange(1, len(events)-1).Draw(t, "interrupted at")
	before, after := slices.Clone(events[:at]), slices.Clone(events[at:])
	run, err := Fold(timed(slices.Clone(before)...))
	if err != nil {
		t.Fatal(err)
	}
	if run.Cut() && rapid.Bool().Draw(t, "by the user") {
		before = append(before, end(Interrupted, run.Counts))
	}
	before = append(before, resumed(time.Second))
	if open := slices.IndexFunc(run.Steps, func(s StepResult) bool { return s.Outcome == Unanswered }); open >= 0 {
		again := sent(open + 1)
		again.StepID = run.Steps[open].StepID
		before = append(before, again)
		// What belonged to the tries of the interrupted program does not come again, until the next one goes on.
		goesOn := false
		after = slices.DeleteFunc(after, func(e Event) bool {
			goesOn = goesOn || e.Kind == KindResumed
			return !goesOn && e.Index == open+1 && (e.Kind == KindSent || e.Kind == KindAgain || e.Kind == KindResent)
		})
	}
	return timed(append(before, after...)...)
}

// An interruption changes no outcome and no verdict, however often it happens.
func TestInterruptionsChangeNoVerdict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := runs(rapid.Bool().Draw(t, "likely to pass")).Draw(t, "events")
		want, err := Fold(events)
		if err != nil {
			t.Fatal(err)
		}
		times := rapid.IntRange(1, 3).Draw(t, "interruptions")
		for range times {
			events = interrupt(t, events)
		}
		got, err := Fold(events)
		if err != nil {
			t.Fatal(err)
		}
		if got.Verdict != want.Verdict || got.Cause != want.Cause || !cmp.Equal(got.Counts, want.Counts) || len(got.Resumptions) != times {
			t.Fatalf("verdict %v, %v, %d times; want %v, %v", got.Verdict, got.Counts, len(got.Resumptions), want.Verdict, want.Counts)
		}
	})
}

// Only an agent that expects the first step again is said to have no session any more.
func TestSessionGone(t *testing.T) {
	refused := func(n int, reason protocol.Reason, detail string) Event {
		e := replied(n, 1)
		e.Reply.Reason, e.Reply.Detail = reason, detail
		return e
	}
	begin := []Event{start(1, 2, 3), sent(1), replied(1, 0), waited(1, time.Second)}
	for name, tt := range map[string]struct {
		events []Event
		want   bool
	}{
		"never resumed":          {[]Event{sent(2), refused(2, protocol.OutOfOrder, "step 1 must come now, got 2")}, false},
		"gone":                   {[]Event{resumed(0), sent(2), refused(2, protocol.OutOfOrder, "step 1 must come now, got 2")}, true},
		"gone in a step":         {[]Event{sent(2), resumed(0), sent(2), refused(2, protocol.OutOfOrder, "step 1 must come now, got 2, which is outside 1 to 1")}, true},
		"another step expected":  {[]Event{resumed(0), sent(2), refused(2, protocol.OutOfOrder, "step 3 must come now, got 2")}, false},
		"another reason":         {[]Event{resumed(0), sent(2), refused(2, protocol.RuleBroken, "step 1 must come now, got 2")}, false},
		"another validator":      {[]Event{resumed(0), sent(2), refused(2, protocol.OutOfOrder, "too soon")}, false},
		"passed":                 {[]Event{resumed(0), sent(2), replied(2, 0)}, false},
		"resumed after the last": {[]Event{sent(2), replied(2, 0), waited(2, time.Second), sent(3), replied(3, 0), resumed(0)}, false},
	} {
		run, err := Fold(timed(slices.Concat(begin, tt.events)...))
		if err != nil || run.SessionGone() != tt.want {
			t.Errorf("%s: %t, error %v", name, run.SessionGone(), err)
		}
	}
}
