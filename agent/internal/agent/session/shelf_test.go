package session

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func seatDue(in time.Duration) *seat { return &seat{card: card{due: noon.Add(in)}} }

func TestShelfFindsTheNearestThatIsDue(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	tests := map[string]struct {
		dues []time.Duration // from noon, when somebody comes
		want time.Duration
		none bool
	}{
		"none at all":                {none: true},
		"none due":                   {dues: []time.Duration{6 * ms, time.Hour}, none: true},
		"the last due":               {dues: []time.Duration{-time.Hour, -20 * ms, time.Hour}, want: -20 * ms},
		"to the moment":              {dues: []time.Duration{-1 * ms, 0, 1 * ms}, want: 0},
		"early":                      {dues: []time.Duration{5 * ms, 6 * ms}, want: 5 * ms},
		"the first of the early":     {dues: []time.Duration{2 * ms, 3 * ms}, want: 2 * ms},
		"early and nearer than late": {dues: []time.Duration{-time.Hour, -4 * ms, 3 * ms}, want: 3 * ms},
		"late and nearer than early": {dues: []time.Duration{-time.Hour, -2 * ms, 3 * ms}, want: -2 * ms},
		"too early to count":         {dues: []time.Duration{-time.Hour, 6 * ms}, want: -time.Hour},
	}
	for name, test := range tests {
		all := shelves{}
		for i, due := range test.dues {
			s := seatDue(due)
			all.add(s)
			// The same on shelves of their own: what all of them say together.
			apart := seatDue(due)
			apart.card.expects = judge.Expectation{StepID: int64(i), Known: true}
			all.add(apart)
		}
		one := all[judge.Expectation{}].due(noon)
		delete(all, judge.Expectation{})
		many, several := all.due(noon)
		for what, got := range map[string]*seat{"one shelf": one, "shelves": many} {
			switch {
			case test.none != (got == nil):
				t.Errorf("%s, %s: found %v", name, what, got != nil)
			case got != nil && !got.card.due.Equal(noon.Add(test.want)):
				t.Errorf("%s, %s: found the one due in %v, want %v", name, what, got.card.due.Sub(noon), test.want)
			}
		}
		due := 0
		for _, d := range test.dues {
			if d <= earlyBy {
				due++
			}
		}
		if several != (due > 1) {
			t.Errorf("%s: several %t with %d due", name, several, due)
		}
	}
}

func TestShelvesFindTheOneLeftLast(t *testing.T) {
	t.Parallel()
	all := shelves{}
	if all.leftLast() != nil {
		t.Error("found one where none is")
	}
	for i, left := range []time.Duration{3, 9, 1, 7, 9, 2} {
		s := seatDue(-time.Duration(i))
		s.card.left = noon.Add(left)
		s.card.expects.StepID = int64(i % 2)
		all.add(s)
	}
	if got := all.leftLast().card.left.Sub(noon); got != 9 {
		t.Errorf("found the one left at %d, want 9", got)
	}
	if got := all[judge.Expectation{}].leftLast().card.left.Sub(noon); got != 9 {
		t.Errorf("on one shelf: found the one left at %d, want 9", got)
	}
}

func TestShelfAround(t *testing.T) {
	t.Parallel()
	all := shelves{}
	for due := range 10 {
		all.add(seatDue(time.Duration(due) * time.Second))
	}
	for at, want := range map[time.Duration][]int{-time.Hour: {0, 1}, 0: {0, 1, 2}, 4500 * time.Millisecond: {3, 4, 5, 6}, time.Hour: {8, 9}} {
		var got []int
		for _, s := range all[judge.Expectation{}].around(noon.Add(at), 2) {
			got = append(got, int(s.card.due.Sub(noon)/time.Second))
		}
		if !slices.Equal(got, want) {
			t.Errorf("around %v: got those due at %v, want %v", at, got, want)
		}
	}
}

// TestSortIsPut: many seats that have moved are put where they would be one after the other.
func TestSortIsPut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one, many := &host{attached: shelves{}, left: shelves{}}, &host{attached: shelves{}, left: shelves{}}
		var seats [][2]*seat
		for range rapid.IntRange(1, 4).Draw(t, "times") {
			for n := rapid.IntRange(0, 20).Draw(t, "new"); n > 0; n-- {
				seats = append(seats, [2]*seat{newSeat("", netip.AddrPort{}), newSeat("", netip.AddrPort{})})
			}
			for _, s := range seats {
				if rapid.IntRange(0, 2).Draw(t, "stays") == 2 {
					continue
				}
				var owner *Conn
				if rapid.Bool().Draw(t, "attached") {
					owner = &Conn{}
				}
				moved := card{due: noon.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "due")))}
				moved.expects.StepID = rapid.Int64Range(0, 2).Draw(t, "expects")
				for i, h := range []*host{one, many} {
					s[i].card, s[i].owner, s[i].moved = moved, owner, true
					h.queue = append(h.queue, s[i])
				}
			}
			many.sort()
			for _, s := range one.queue {
				one.put(s)
			}
			one.queue, many.queue = nil, nil
			for _, s := range seats {
				if s[0].moved || s[1].moved || s[0].place.due != s[1].place.due {
					t.Fatalf("one is at %v, the other at %v", s[0].place, s[1].place)
				}
			}
			sameShelves(t, one.attached, many.attached, seats)
			sameShelves(t, one.left, many.left, seats)
		}
	})
}

// sameShelves fails unless the seats of a pair stand in the same place.
func sameShelves(t *rapid.T, one, many shelves, pairs [][2]*seat) {
	if len(one) != len(many) {
		t.Fatalf("%d shelves, want %d", len(many), len(one))
	}
	other := map[*seat]*seat{}
	for _, p := range pairs {
		other[p[0]] = p[1]
	}
	for expects, same := range one {
		if !slices.EqualFunc(same, many[expects], func(a, b *seat) bool { return other[a] == b }) {
			t.Fatalf("the shelves of %v differ", expects)
		}
	}
}

// TestShelvesKeepOrder adds and takes away at random.
func TestShelvesKeepOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := shelves{}
		var in []*seat
		for range rapid.IntRange(1, 60).Draw(t, "times") {
			if len(in) > 0 && rapid.IntRange(0, 2).Draw(t, "remove") == 2 {
				i := rapid.IntRange(0, len(in)-1).Draw(t, "which")
				all.remove(in[i])
				in = slices.Delete(in, i, i+1)
			} else {
				s := seatDue(time.Duration(rapid.IntRange(0, 9).Draw(t, "due"))) // some at the same moment
				s.card.expects.StepID = rapid.Int64Range(0, 2).Draw(t, "expects")
				all.add(s)
				in = append(in, s)
			}
		}
		n := 0
		for expects, same := range all {
			n += len(same)
			for i, s := range same {
				if s.card.expects != expects || !slices.Contains(in, s) || i > 0 && s.card.due.Before(same[i-1].card.due) {
					t.Fatalf("place %d of the shelf of %v is wrong", i, expects)
				}
			}
			if len(same) == 0 {
				t.Fatalf("the shelf of %v is empty and still there", expects)
			}
		}
		if n != len(in) {
			t.Fatalf("%d on the shelves, want %d", n, len(in))
		}
	})
}
