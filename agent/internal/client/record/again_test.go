package record

import (
	"slices"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// again is a try of a step that got no verdict. Its reply, if there is one, has the cause as its reason.
func again(cause Retry, n int) Event {
	e := Event{Kind: KindAgain, Index: n, StepID: int64(n), Again: &Again{Cause: cause}, Took: time.Second / 2}
	switch cause {
	case RetryLost, RetryUnreachable:
		e.Detail = "the agent closed it"
	default:
		e.Reply = replied(n, 1).Reply
		e.Reply.Reason = protocol.Reason(cause)
	}
	return e
}

func resent(n int) Event { return Event{Kind: KindResent, Index: n, StepID: int64(n)} }

// The result of a step says how often it was sent, and how long the agent was away. The events are a
// second apart, and their step comes to its end at the last of them.
func TestFoldTellsWhatWasTriedAgain(t *testing.T) {
	refusal := replied(1, 1)
	refusal.Reply.Reason = protocol.Busy
	tests := []struct {
		name   string
		events []Event
		want   StepResult // Outcome, Tries, Retry, Reconnects and Away
	}{
		{"not at all", []Event{sent(1), replied(1, 0)}, StepResult{Outcome: Passed, Tries: 1}},
		{"lost and back", []Event{sent(1), again(RetryLost, 1), resent(1), replied(1, 0)},
			StepResult{Outcome: Passed, Tries: 2, Retry: RetryLost, Reconnects: 1, Away: time.Second}},
		{"away for a while", []Event{sent(1), again(RetryLost, 1), again(RetryUnreachable, 1), again(RetryUnreachable, 1), resent(1), replied(1, 0)},
			StepResult{Outcome: Passed, Tries: 2, Retry: RetryLost, Reconnects: 1, Away: 3 * time.Second}},
		{"away twice", []Event{sent(1), again(RetryLost, 1), resent(1), again(RetryStopping, 1), again(RetryUnreachable, 1), resent(1), replied(1, 0)},
			StepResult{Outcome: Passed, Tries: 3, Retry: RetryLost, Reconnects: 2, Away: 3 * time.Second}},
		{"busy", []Event{sent(1), again(RetryBusy, 1), resent(1), again(RetryBusy, 1), resent(1), replied(1, 0)},
			StepResult{Outcome: Passed, Tries: 3, Retry: RetryBusy, Away: 2 * time.Second}},
		{"busy to the end", []Event{sent(1), again(RetryBusy, 1), resent(1), replied(1, 1)},
			StepResult{Outcome: Failed, Tries: 2, Retry: RetryBusy, Away: time.Second}},
		{"no validator, then lost", []Event{sent(1), again(RetryValidator, 1), again(RetryUnreachable, 1), resent(1), replied(1, 0)},
			StepResult{Outcome: Passed, Tries: 2, Retry: RetryValidator, Reconnects: 1, Away: 2 * time.Second}},
		{"not there at first", []Event{again(RetryUnreachable, 1), again(RetryUnreachable, 1), sent(1), replied(1, 0)},
			StepResult{Outcome: Passed, Tries: 1, Retry: RetryUnreachable, Reconnects: 1, Away: 2 * time.Second}},
		{"lost before it", []Event{again(RetryLost, 1), sent(1), replied(1, 0)},
			StepResult{Outcome: Passed, Tries: 1, Retry: RetryLost, Reconnects: 1}},
		{"lost before it and away", []Event{again(RetryLost, 1), again(RetryUnreachable, 1), sent(1), replied(1, 0)},
			StepResult{Outcome: Passed, Tries: 1, Retry: RetryLost, Reconnects: 1, Away: 2500 * time.Millisecond}},
		{"away for good", []Event{sent(1), again(RetryLost, 1), again(RetryUnreachable, 1), failed(KindTimeout, 1)},
			StepResult{Outcome: TimedOut, Tries: 1, Retry: RetryLost, Away: 2 * time.Second}},
		{"busy, and away for good", []Event{sent(1), again(RetryBusy, 1), again(RetryUnreachable, 1), refusal},
			StepResult{Outcome: Failed, Tries: 1, Retry: RetryBusy, Away: 2 * time.Second}},
		{"resumed, and not there at first", []Event{sent(1), resumed(0), again(RetryUnreachable, 1), again(RetryUnreachable, 1), sent(1), replied(1, 0)},
			StepResult{Outcome: Passed, Tries: 2, Retry: RetryUnreachable, Reconnects: 1, Away: 2 * time.Second}},
		{"resumed, and lost again", []Event{again(RetryUnreachable, 1), resumed(0), sent(1), again(RetryLost, 1), resent(1), replied(1, 0)},
			StepResult{Outcome: Passed, Tries: 2, Retry: RetryUnreachable, Reconnects: 1, Away: time.Second}},
		{"given up", []Event{sent(1), again(RetryLost, 1), failed(KindLost, 1)},
			StepResult{Outcome: ConnectionLost, Tries: 1, Retry: RetryLost, Away: time.Second}},
		{"back, and silent", []Event{sent(1), again(RetryLost, 1), resent(1), failed(KindTimeout, 1)},
			StepResult{Outcome: TimedOut, Tries: 2, Retry: RetryLost, Reconnects: 1, Away: time.Second}},
		{"never there", []Event{again(RetryUnreachable, 1), unreachable(1)},
			StepResult{Outcome: Unreachable, Retry: RetryUnreachable, Away: time.Second}},
		{"back, and refused", []Event{sent(1), again(RetryLost, 1), resent(1), unreachable(1)},
			StepResult{Outcome: Unreachable, Tries: 2, Retry: RetryLost, Reconnects: 1, Away: time.Second}},
		{"interrupted", []Event{sent(1), again(RetryLost, 1), end(Interrupted, Counts{Unanswered: 1})},
			StepResult{Outcome: Unanswered, Tries: 1, Retry: RetryLost, Away: time.Second}},
		{"interrupted before it was sent", []Event{again(RetryUnreachable, 1), end(Interrupted, Counts{NotRun: 1})},
			StepResult{Outcome: NotRun, Retry: RetryUnreachable, Away: time.Second}},
		{"killed", []Event{sent(1), again(RetryLost, 1)}, StepResult{Outcome: Unanswered, Tries: 1, Retry: RetryLost}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run, err := Fold(timed(append([]Event{start(1)}, tt.events...)...))
			if err != nil {
				t.Fatal(err)
			}
			s := run.Steps[0]
			got := StepResult{Outcome: s.Outcome, Tries: s.Tries, Retry: s.Retry, Reconnects: s.Reconnects, Away: s.Away}
			if got != tt.want {
				t.Errorf("it came to %+v, want %+v", got, tt.want)
			}
			if run.Away != s.Away || run.Reconnects != s.Reconnects {
				t.Errorf("the run has %v and %d", run.Away, run.Reconnects)
			}
		})
	}
}

// A second step that is tried again adds to the first, and the run passes.
func TestFoldAddsUpWhatWasTriedAgain(t *testing.T) {
	run, err := Fold(timed(start(1, 2), sent(1), again(RetryLost, 1), resent(1), replied(1, 0), waited(1, time.Second),
		sent(2), again(RetryBusy, 2), resent(2), replied(2, 0), end(Finished, Counts{Passed: 2})))
	if err != nil || run.Verdict != Pass || run.Away != 2*time.Second || run.Reconnects != 1 {
		t.Errorf("%v, away %v, %d connections, error %v", run.Verdict, run.Away, run.Reconnects, err)
	}
}

// A connection that was lost between two steps stays lost while the agent is away, and each step reports it.
// The time of the loss counts once.
func TestFoldCountsAnAbsenceOnce(t *testing.T) {
	lost := func(n int, ago time.Duration) Event {
		e := again(RetryLost, n)
		e.Took = ago
		return e
	}
	run, err := Fold(timed(start(1, 2, 3), sent(1), replied(1, 0), waited(1, time.Second),
		lost(2, 2*time.Second), again(RetryUnreachable, 2), unreachable(2), waited(2, time.Second),
		lost(3, 6*time.Second), again(RetryUnreachable, 3), sent(3), replied(3, 0)))
	if err != nil {
		t.Fatal(err)
	}
	if two, three := run.Steps[1].Away, run.Steps[2].Away; two != 4*time.Second || three != 4*time.Second || run.Away != 8*time.Second {
		t.Errorf("away for %v and %v, %v in all, want 4s and 4s of the 8s from the loss to the next sending", two, three, run.Away)
	}
}

// AwayInTook is the part of Away between the first sending and the reply.
func TestFoldTellsWhichAbsenceTookHas(t *testing.T) {
	refusal := replied(1, 1)
	refusal.Reply.Reason = protocol.Busy
	for name, tt := range map[string]struct {
		events []Event
		want   time.Duration
	}{
		"lost and back":             {[]Event{sent(1), again(RetryLost, 1), again(RetryUnreachable, 1), resent(1), replied(1, 0)}, 2 * time.Second},
		"busy":                      {[]Event{sent(1), again(RetryBusy, 1), resent(1), again(RetryBusy, 1), resent(1), replied(1, 0)}, 2 * time.Second},
		"before it was sent":        {[]Event{again(RetryLost, 1), again(RetryUnreachable, 1), sent(1), replied(1, 0)}, 0},
		"before it, and in it":      {[]Event{again(RetryUnreachable, 1), sent(1), again(RetryLost, 1), resent(1), replied(1, 0)}, time.Second},
		"after the reply":           {[]Event{sent(1), again(RetryBusy, 1), again(RetryUnreachable, 1), refusal}, 0},
		"in it, before it resumed":  {[]Event{sent(1), again(RetryLost, 1), resent(1), resumed(0), sent(1), replied(1, 0)}, 0},
		"while it could not resume": {[]Event{sent(1), resumed(0), again(RetryUnreachable, 1), sent(1), replied(1, 0)}, 0},
	} {
		run, err := Fold(timed(append([]Event{start(1)}, tt.events...)...))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := run.Steps[0].AwayInTook; got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestTriesThatMakeNoSense(t *testing.T) {
	noReq := sent(1)
	noReq.Req = protocol.ReqID{}
	other := again(RetryBusy, 1)
	other.Reply.Req = protocol.NumReq(9)
	noReply, withReply := again(RetryBusy, 1), again(RetryLost, 1)
	noReply.Reply, withReply.Reply = nil, replied(1, 1).Reply
	reason := again(RetryBusy, 1)
	reason.Reply.Reason = protocol.OutOfOrder
	for name, events := range map[string][]Event{
		"without a cause":          {sent(1), {Kind: KindAgain, Index: 1, StepID: 1}},
		"for an unknown cause":     {sent(1), again("bored", 1)},
		"busy without a reply":     {sent(1), noReply},
		"lost with a reply":        {sent(1), withReply},
		"another reason":           {sent(1), reason},
		"another req":              {sent(1), other},
		"without a req":            {noReq, again(RetryLost, 1)},
		"busy before it was sent":  {again(RetryBusy, 1)},
		"unreachable, though sent": {sent(1), again(RetryUnreachable, 1)},
		"lost, though not sent":    {sent(1), again(RetryLost, 1), again(RetryLost, 1)},
		"after the reply":          {sent(1), replied(1, 0), again(RetryLost, 1)},
		"resent without a cause":   {sent(1), resent(1)},
		"resent before it is sent": {again(RetryUnreachable, 1), resent(1)},
		"resent twice":             {sent(1), again(RetryLost, 1), resent(1), resent(1)},
		"resent after the reply":   {sent(1), replied(1, 0), resent(1)},
		"sent twice":               {sent(1), again(RetryLost, 1), sent(1)},
		"a reply, though not sent": {sent(1), again(RetryLost, 1), replied(1, 0)},
		"a refusal, not sent":      {sent(1), again(RetryBusy, 1), replied(1, 1)},
		"resent, not sent":         {sent(1), resumed(0), again(RetryUnreachable, 1), resent(1)},
		"busy, not sent":           {sent(1), resumed(0), again(RetryBusy, 1)},
		"another step":             {again(RetryUnreachable, 1), sent(2)},
		"the next before the last": {sent(1), again(RetryLost, 1), again(RetryUnreachable, 2)},
	} {
		events = slices.Insert(events, 0, start(1, 2))
		if run, err := Fold(timed(events...)); err == nil {
			t.Errorf("%s: it came to %+v", name, run.Steps)
		}
	}
}
