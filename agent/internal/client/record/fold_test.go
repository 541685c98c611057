package record

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/protocol"
)

// start begins a record of a procedure with the given step ids. Each step has a timeout of
// 5 s and an interval of 1 s.
func start(ids ...int64) Event {
	procedure := Procedure{Name: "steps.json", SHA256: "00", Steps: []Step{}}
	for _, n := range ids {
		procedure.Steps = append(procedure.Steps, Step{StepID: n, Timeout: 5 * time.Second, Interval: time.Second})
	}
	return Event{Kind: KindStart, Start: &Start{Format: 1, Client: "1.0.0", Host: "host", Address: "agent:8080",
		Session: "s", Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Procedure: procedure}}
}

// The events of a step. The place in the procedure is the id, except where a test says
// otherwise; the req is the place.

func sent(n int) Event {
	return Event{Kind: KindSent, Index: n, StepID: int64(n), Req: protocol.NumReq(int64(n)),
		Timeout: 5 * time.Second, Interval: time.Second}
}

func replied(n, code int) Event {
	return Event{Kind: KindReply, Index: n, StepID: int64(n), Took: time.Second / 2,
		Reply: &protocol.Reply{StepID: id(int64(n)), ErrorCode: code, Req: protocol.NumReq(int64(n)), Session: "s"}}
}

func late(n int) Event {
	e := replied(n, 0)
	e.Kind, e.Took = KindLate, 5*time.Second
	return e
}

func failed(kind Kind, n int) Event {
	return Event{Kind: kind, Index: n, StepID: int64(n), Took: 5 * time.Second}
}

func unreachable(n int) Event {
	return Event{Kind: KindUnreachable, Index: n, StepID: int64(n), Detail: "refused"}
}

func waited(n int, kept time.Duration) Event {
	return Event{Kind: KindInterval, Index: n, StepID: int64(n), Interval: time.Second, Kept: kept}
}

func stray(kind Stray, n int) Event {
	return Event{Kind: KindStray, Index: n, StepID: int64(n), Stray: kind}
}

func end(cause Cause, counts Counts) Event {
	return Event{Kind: KindEnd, End: &End{Cause: cause, Counts: counts}}
}

// timed gives the events times that go up.
func timed(events ...Event) []Event {
	for i := range events {
		events[i].At = time.Duration(i) * time.Second
	}
	return events
}

// soundRun is a run of two steps that passed.
func soundRun() []Event {
	return timed(start(1, 2), sent(1), replied(1, 0), waited(1, time.Second), sent(2), replied(2, 0),
		end(Finished, Counts{Passed: 2}))
}

// everyKind is a run that has every kind of event.
func everyKind() []Event {
	return timed(start(1, 2, 3, 4, 5), sent(1), failed(KindTimeout, 1), late(1), waited(1, time.Second),
		sent(2), failed(KindLost, 2), stray(StrayGarbage, 0), waited(2, time.Second), unreachable(3), waited(3, time.Second),
		sent(4), failed(KindWrong, 4), waited(4, time.Second), sent(5), replied(5, 1), stray(StrayDuplicate, 5),
		end(Finished, Counts{Failed: 1, TimedOut: 1, ConnectionLost: 1, WrongReply: 1, Unreachable: 1}))
}

func TestFoldTellsWhatBecameOfEachStep(t *testing.T) {
	run, err := Fold(everyKind())
	if err != nil {
		t.Fatal(err)
	}
	step := Step{Timeout: 5 * time.Second, Interval: time.Second}
	kept := protocol.Seconds(time.Second)
	steps := []StepResult{
		{Index: 1, Outcome: TimedOut, Reason: protocol.Timeout, Detail: "no reply came within 5s", Req: protocol.NumReq(1), Tries: 1,
			SentAt: time.Second, Took: 5 * time.Second, Kept: kept, Late: &LateReply{*late(1).Reply, 5 * time.Second}},
		{Index: 2, Outcome: ConnectionLost, Reason: protocol.ConnectionLost, Req: protocol.NumReq(2), Tries: 1,
			SentAt: 5 * time.Second, Took: 5 * time.Second, Kept: kept},
		{Index: 3, Outcome: Unreachable, Reason: protocol.Unreachable, Detail: "refused", Kept: kept},
		{Index: 4, Outcome: WrongReply, Reason: protocol.WrongReply, Req: protocol.NumReq(4), Tries: 1,
			SentAt: 11 * time.Second, Took: 5 * time.Second, Kept: kept},
		{Index: 5, Outcome: Failed, Detail: "the agent sent error code 1 and no reason", Req: protocol.NumReq(5), Tries: 1,
			SentAt: 14 * time.Second, Took: time.Second / 2, Reply: replied(5, 1).Reply},
	}
	for i := range steps {
		step.StepID = int64(i + 1)
		steps[i].Step = step
	}
	want := Run{Start: *everyKind()[0].Start, Address: "agent:8080", Steps: steps, Strays: []Event{everyKind()[7], everyKind()[16]},
		Cause: Finished, Duration: 17 * time.Second, Counts: everyKind()[17].End.Counts, Verdict: Fail}
	if diff := cmp.Diff(want, run, exactly); diff != "" {
		t.Error(diff)
	}
}

// reasoned is a refusal with a reason.
func reasoned(n int) Event {
	e := replied(n, 1)
	e.Reply.Reason, e.Reply.Detail = protocol.OutOfOrder, "step 1 comes first"
	return e
}

func TestVerdict(t *testing.T) {
	tests := []struct {
		name   string
		events []Event
		want   Verdict
	}{
		{"all passed", soundRun(), Pass},
		{"no req and no session", nameless(), Pass},
		{"all passed, one answered twice", timed(start(1), sent(1), replied(1, 0), stray(StrayDuplicate, 1),
			end(Finished, Counts{Passed: 1})), Pass},
		{"no steps", timed(start(), end(Finished, Counts{})), Undecided},
		{"nothing but a start", timed(start(1)), Undecided},
		{"no end", soundRun()[:6], Undecided},
		{"interrupted after the last step", timed(start(1), sent(1), replied(1, 0), end(Interrupted, Counts{Passed: 1})), Undecided},
		{"interrupted before the last step", timed(start(1, 2), sent(1), replied(1, 0), waited(1, 0),
			end(Interrupted, Counts{Passed: 1, NotRun: 1})), Undecided},
		{"interrupted in a step", timed(start(1), sent(1), end(Interrupted, Counts{Unanswered: 1})), Undecided},
		{"interrupted after a failure", timed(start(1, 2), sent(1), replied(1, 1), end(Interrupted, Counts{Failed: 1, NotRun: 1})), Fail},
		{"refused", timed(start(1), sent(1), reasoned(1), end(Finished, Counts{Failed: 1})), Fail},
		{"refused the first of two", timed(start(1, 2), sent(1), replied(1, 3), waited(1, time.Second), sent(2), replied(2, 0),
			end(Finished, Counts{Passed: 1, Failed: 1})), Fail},
		{"no agent", timed(start(1, 2), unreachable(1), end(Lost, Counts{Unreachable: 1, NotRun: 1})), Fail},
		{"no agent for the second", timed(start(1, 2), sent(1), replied(1, 0), waited(1, time.Second), unreachable(2),
			end(Finished, Counts{Passed: 1, Unreachable: 1})), Fail},
		{"timed out", timed(start(1), sent(1), failed(KindTimeout, 1), end(Finished, Counts{TimedOut: 1})), Fail},
		{"timed out, and late", timed(start(1), sent(1), failed(KindTimeout, 1), late(1), end(Finished, Counts{TimedOut: 1})), Fail},
		{"lost", timed(start(1), sent(1), failed(KindLost, 1), end(Finished, Counts{ConnectionLost: 1})), Fail},
		{"wrong", timed(start(1), sent(1), failed(KindWrong, 1), end(Finished, Counts{WrongReply: 1})), Fail},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run, err := Fold(tt.events)
			if err != nil || run.Verdict != tt.want {
				t.Errorf("verdict %v, error %v, want %v", run.Verdict, err, tt.want)
			}
			if plainlyPassed(tt.events) != (tt.want == Pass) {
				t.Error("the plain check disagrees")
			}
		})
	}
}

// nameless is a run that passed, of a client that names neither session nor request.
func nameless() []Event {
	events := soundRun()
	events[0].Start.Session = ""
	for _, i := range []int{1, 4} {
		events[i].Req = protocol.ReqID{}
		events[i+1].Reply.Req, events[i+1].Reply.Session = protocol.ReqID{}, ""
	}
	return events
}

func TestFoldTellsWhyTheAgentRefused(t *testing.T) {
	run, err := Fold(timed(start(1), sent(1), reasoned(1)))
	if err != nil || run.Steps[0].Reason != protocol.OutOfOrder || run.Steps[0].Detail != "step 1 comes first" {
		t.Errorf("%+v, error %v", run.Steps, err)
	}
}

// A record that was changed, or that a defect wrote, has no verdict.
func TestEventsThatMakeNoSense(t *testing.T) {
	passed := Counts{Passed: 2}
	tests := []struct {
		name string
		// change makes nonsense of soundRun.
		change func(events []Event) []Event
		at     int
	}{
		{"no start", func(e []Event) []Event { return e[1:] }, 1},
		{"start with nothing in it", func(e []Event) []Event { e[0].Start = nil; return e }, 1},
		{"unknown format", func(e []Event) []Event { e[0].Start.Format = 2; return e }, 1},
		{"two starts", func(e []Event) []Event { return timed(append(e[:1], e...)...) }, 2},
		{"time goes back", func(e []Event) []Event { e[3].At = 0; return e }, 4},
		{"unknown kind", func(e []Event) []Event { e[2].Kind = "answer"; return e }, 3},
		{"index too large", func(e []Event) []Event { e[4].Index = 3; return e }, 5},
		{"index negative", func(e []Event) []Event { e[4].Index = -1; return e }, 5},
		{"no index", func(e []Event) []Event { e[4].Index = 0; return e }, 5},
		{"another step id", func(e []Event) []Event { e[4].StepID = 9; return e }, 5},
		{"second step first", func(e []Event) []Event { return append(e[:1], e[4:]...) }, 2},
		{"sent twice", func(e []Event) []Event { e[2] = e[1]; return timed(e...) }, 3},
		{"sent with another timeout", func(e []Event) []Event { e[1].Timeout++; return e }, 2},
		{"sent with another interval", func(e []Event) []Event { e[1].Interval++; return e }, 2},
		{"no interval", func(e []Event) []Event { return append(e[:3], e[4:]...) }, 4},
		{"interval not kept", func(e []Event) []Event { e[3].Kept--; return e }, 5},
		{"another interval", func(e []Event) []Event { e[3].Interval++; return e }, 4},
		{"interval before the reply", func(e []Event) []Event { return append(e[:2], e[3:]...) }, 3},
		{"interval twice", func(e []Event) []Event { e[4] = e[3]; return timed(e...) }, 5},
		{"interval after the last", func(e []Event) []Event { return timed(append(e[:6], waited(2, time.Second))...) }, 7},
		{"answered twice", func(e []Event) []Event { e[3] = e[2]; return timed(e...) }, 4},
		{"answered and timed out", func(e []Event) []Event { return timed(append(e[:3], failed(KindTimeout, 1))...) }, 4},
		{"timed out and answered", func(e []Event) []Event { e[1] = failed(KindTimeout, 1); return timed(e...) }, 2},
		{"not sent", func(e []Event) []Event { return append(e[:1], e[2:]...) }, 2},
		{"reply with nothing in it", func(e []Event) []Event { e[2].Reply = nil; return e }, 3},
		{"reply after the timeout", func(e []Event) []Event { e[2].Took = 5 * time.Second; return e }, 3},
		{"reply to another step", func(e []Event) []Event { e[2].Reply.StepID = id(2); return e }, 3},
		{"reply to no step", func(e []Event) []Event { e[2].Reply.StepID = nil; return e }, 3},
		{"reply to another req", func(e []Event) []Event { e[2].Reply.Req = protocol.NumReq(2); return e }, 3},
		{"reply to a req, none was sent", func(e []Event) []Event { e[1].Req = protocol.ReqID{}; return e }, 3},
		{"reply to another session", func(e []Event) []Event { e[2].Reply.Session = "t"; return e }, 3},
		{"late, but answered", func(e []Event) []Event { return timed(append(e[:3], late(1))...) }, 4},
		{"late with nothing in it", func(e []Event) []Event {
			l := late(1)
			l.Reply = nil
			return timed(append(e[:2], failed(KindTimeout, 1), l)...)
		}, 4},
		{"late in time", func(e []Event) []Event {
			l := late(1)
			l.Took--
			return timed(append(e[:2], failed(KindTimeout, 1), l)...)
		}, 4},
		{"late twice", func(e []Event) []Event {
			return timed(append(e[:2], failed(KindTimeout, 1), late(1), late(1))...)
		}, 5},
		{"unreachable and sent", func(e []Event) []Event { return timed(append(e[:1], unreachable(1), sent(1))...) }, 3},
		{"refused and sent again", func(e []Event) []Event { return timed(append(e[:2], unreachable(1), sent(1))...) }, 4},
		{"refused and a later step", func(e []Event) []Event {
			return timed(append(e[:2], unreachable(1), waited(1, time.Second), sent(2))...)
		}, 4},
		{"refused and finished", func([]Event) []Event {
			return timed(start(1), sent(1), unreachable(1), end(Finished, Counts{Unreachable: 1}))
		}, 4},
		{"stray of a step to come", func(e []Event) []Event { return timed(append(e[:3], stray(StrayDuplicate, 2))...) }, 4},
		{"unknown stray", func(e []Event) []Event { return timed(append(e[:3], stray("dog", 0))...) }, 4},
		{"end with nothing in it", func(e []Event) []Event { e[6].End = nil; return e }, 7},
		{"unknown cause", func(e []Event) []Event { e[6].End.Cause = "bored"; return e }, 7},
		{"no cause", func(e []Event) []Event { e[6].End.Cause = ""; return e }, 7},
		{"lost, though reached", func(e []Event) []Event { e[6].End.Cause = Lost; return e }, 7},
		{"other counts", func(e []Event) []Event { e[6].End.Counts = Counts{Passed: 1, Failed: 1}; return e }, 7},
		{"finished too early", func(e []Event) []Event {
			return timed(append(e[:4], end(Finished, Counts{Passed: 1, NotRun: 1}))...)
		}, 5},
		{"finished in a step", func(e []Event) []Event {
			return timed(append(e[:5], end(Finished, Counts{Passed: 1, Unanswered: 1}))...)
		}, 6},
		{"two ends", func(e []Event) []Event { return timed(append(e, end(Finished, passed))...) }, 8},
		{"something after the end", func(e []Event) []Event { return timed(append(e, stray(StrayGarbage, 0))...) }, 8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run, err := Fold(tt.change(soundRun()))
			var wrong *EventError
			if !errors.As(err, &wrong) || wrong.Event != tt.at {
				t.Errorf("error %v, want one of event %d", err, tt.at)
			}
			if run.Verdict != Undecided || run.Steps != nil {
				t.Errorf("it came to %+v", run)
			}
		})
	}
}
