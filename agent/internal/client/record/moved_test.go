package record

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/protocol"
)

// at is an event at another agent.
func at(address string, e Event) Event {
	e.Address = address
	return e
}

// between is a run that was started with the addresses a:1, b:1 and c:1.
func between(steps ...int64) Event {
	e := start(steps...)
	s := *e.Start
	s.Address, s.Addresses = "a:1", []string{"a:1", "b:1", "c:1"}
	e.Start = &s
	return e
}

// resumedAt is a resumption at an agent, with the addresses that were then given.
func resumedAt(address string, all ...string) Event {
	e := resumed(0)
	e.Resumed.Address, e.Resumed.Addresses = address, all
	return e
}

func TestMoves(t *testing.T) {
	whole := func(n int, to string) []Event { return []Event{at(to, sent(n)), replied(n, 0), waited(n, time.Second)} }
	tests := []struct {
		name   string
		events []Event
		moves  []Move
		want   []string // the addresses to go on with
	}{
		{"nothing sent", nil, nil, []string{"a:1", "b:1", "c:1"}},
		{"no move", slices.Concat(whole(1, ""), whole(2, "")), nil, []string{"a:1", "b:1", "c:1"}},
		{"at the first step", slices.Concat(whole(1, "b:1"), whole(2, "")), []Move{{1, "b:1"}}, []string{"b:1", "c:1", "a:1"}},
		{"in a step", slices.Concat(whole(1, ""), []Event{sent(2), again(RetryLost, 2), at("b:1", again(RetryUnreachable, 2)), at("c:1", resent(2))}),
			[]Move{{2, "c:1"}}, []string{"c:1", "a:1", "b:1"}},
		{"before a step", slices.Concat(whole(1, ""), []Event{again(RetryLost, 2), at("b:1", sent(2))}), []Move{{2, "b:1"}}, []string{"b:1", "c:1", "a:1"}},
		{"there and back", slices.Concat(whole(1, ""), whole(2, "b:1"), whole(3, "a:1")), []Move{{2, "b:1"}, {3, "a:1"}}, []string{"a:1", "b:1", "c:1"}},
		{"there and back in one step", []Event{sent(1), again(RetryLost, 1), at("b:1", resent(1)), again(RetryLost, 1), at("a:1", resent(1))},
			nil, []string{"a:1", "b:1", "c:1"}},
		{"a step that could not be sent", slices.Concat(whole(1, ""), []Event{at("b:1", again(RetryUnreachable, 2)), unreachable(2)}), nil, []string{"a:1", "b:1", "c:1"}},
		{"resumed elsewhere", slices.Concat(whole(1, ""), []Event{resumedAt("b:1", "b:1", "c:1", "a:1"), sent(2)}), []Move{{2, "b:1"}}, []string{"b:1", "c:1", "a:1"}},
		{"resumed at another agent alone", slices.Concat(whole(1, ""), []Event{resumedAt("d:1"), sent(2)}), []Move{{2, "d:1"}}, []string{"d:1"}},
		{"resumed at the start's", slices.Concat(whole(1, "b:1"), []Event{resumedAt(""), sent(2)}), []Move{{1, "b:1"}, {2, "a:1"}}, []string{"a:1", "b:1", "c:1"}},
		{"resumed in a step", slices.Concat(whole(1, ""), []Event{sent(2), resumedAt("c:1", "c:1", "b:1"), sent(2)}), []Move{{2, "c:1"}}, []string{"c:1", "b:1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run, err := Fold(timed(append([]Event{between(1, 2, 3, 4)}, tt.events...)...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.moves, run.Moves()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.want, run.Addresses()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A run with one address has no others to go on with.
func TestAddressesOfOneAgent(t *testing.T) {
	run, err := Fold(timed(start(1), sent(1)))
	if err != nil || len(run.Addresses()) != 1 || run.Addresses()[0] != run.Start.Address {
		t.Errorf("%q, error %v", run.Addresses(), err)
	}
}

// An agent that expects the first step when a later one comes does not have the session.
func TestWithoutSession(t *testing.T) {
	refused := func(n int, detail string) Event {
		e := replied(n, 1)
		e.Reply.Reason, e.Reply.Detail = protocol.OutOfOrder, detail
		return e
	}
	for want, events := range map[string][]Event{
		"":    {sent(2), refused(2, "step 1 must come now, got 2")},
		"b:1": {sent(2), again(RetryLost, 2), at("b:1", resent(2)), refused(2, "step 1 must come now, got 2")},
		"c:1": {again(RetryLost, 2), at("c:1", sent(2)), refused(2, "step 1 must come now, got 2, which is outside 1 to 9")},
	} {
		run, err := Fold(timed(append([]Event{between(1, 2), sent(1), replied(1, 0), waited(1, time.Second)}, events...)...))
		if err != nil || run.WithoutSession() != want {
			t.Errorf("%q, error %v, want %q", run.WithoutSession(), err, want)
		}
	}
	run, err := Fold(timed(between(1, 2), sent(1), replied(1, 0), waited(1, time.Second), at("b:1", sent(2)), refused(2, "step 4 must come now, got 2")))
	if err != nil || run.WithoutSession() != "" {
		t.Errorf("%q, error %v", run.WithoutSession(), err)
	}
}

// Where each step went last is where its last request went.
func TestMovesFollowTheRequests(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := runs(false).Draw(t, "events")
		run, err := Fold(events)
		if err != nil {
			t.Fatal(err)
		}
		current := run.Start.Address
		last := map[int]string{}
		for _, e := range events {
			if e.Kind == KindSent || e.Kind == KindResent {
				if e.Address != "" {
					current = e.Address
				}
				last[e.Index] = current
			}
		}
		var want []Move
		before := run.Start.Address
		for index := range len(run.Steps) + 1 {
			if to, sent := last[index]; sent && to != before {
				want = append(want, Move{index, to})
				before = to
			}
		}
		if diff := cmp.Diff(want, run.Moves()); diff != "" || run.Address != current {
			t.Fatalf("at %s, want %s, %s", run.Address, current, diff)
		}
	})
}
