package session

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func slotDue(in time.Duration) *slot { return &slot{session: session{replied: noon.Add(in)}} }

func TestNearestDue(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	tests := map[string]struct {
		dues []time.Duration // from noon, when a client comes
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
		all := stepIndex{}
		for i, due := range test.dues {
			s := slotDue(due)
			all.add(s)
			// The same, each in a list of its own.
			apart := slotDue(due)
			apart.session.expects = judge.Expectation{StepID: int64(i), Known: true}
			all.add(apart)
		}
		one := all[judge.Expectation{}].nearestDue(noon)
		delete(all, judge.Expectation{})
		many, several := all.nearestDue(noon)
		for what, got := range map[string]*slot{"one list": one, "many lists": many} {
			switch {
			case test.none != (got == nil):
				t.Errorf("%s, %s: found %v", name, what, got != nil)
			case got != nil && !got.session.due().Equal(noon.Add(test.want)):
				t.Errorf("%s, %s: found the one due in %v, want %v", name, what, got.session.due().Sub(noon), test.want)
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

func TestLeftLast(t *testing.T) {
	t.Parallel()
	all := stepIndex{}
	if all.leftLast() != nil {
		t.Error("found one where none is")
	}
	for i, left := range []time.Duration{3, 9, 1, 7, 9, 2} {
		s := slotDue(-time.Duration(i))
		s.left = noon.Add(left)
		s.session.expects.StepID = int64(i % 2)
		all.add(s)
	}
	if got := all.leftLast().left.Sub(noon); got != 9 {
		t.Errorf("found the one left at %d, want 9", got)
	}
	if got := all[judge.Expectation{}].leftLast().left.Sub(noon); got != 9 {
		t.Errorf("in one list: found the one left at %d, want 9", got)
	}
}

func TestAround(t *testing.T) {
	t.Parallel()
	all := stepIndex{}
	for due := range 10 {
		all.add(slotDue(time.Duration(due) * time.Second))
	}
	for at, want := range map[time.Duration][]int{-time.Hour: {0, 1}, 0: {0, 1, 2}, 4500 * time.Millisecond: {3, 4, 5, 6}, time.Hour: {8, 9}} {
		var got []int
		for _, s := range all[judge.Expectation{}].around(noon.Add(at), 2) {
			got = append(got, int(s.session.due().Sub(noon)/time.Second))
		}
		if !slices.Equal(got, want) {
			t.Errorf("around %v: got those due at %v, want %v", at, got, want)
		}
	}
}

// TestMoveAll moves many slots to where move would put each of them.
func TestMoveAll(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one, many := namelessIndex{}.of(clientKey{}), namelessIndex{}.of(clientKey{})
		var slots [][2]*slot
		for range rapid.IntRange(1, 4).Draw(t, "times") {
			for n := rapid.IntRange(0, 20).Draw(t, "new"); n > 0; n-- {
				slots = append(slots, [2]*slot{{}, {}})
			}
			for _, s := range slots {
				if rapid.IntRange(0, 2).Draw(t, "stays") == 2 {
					continue
				}
				var owner *Conn
				if rapid.Bool().Draw(t, "attached") {
					owner = &Conn{}
				}
				changed := session{replied: noon.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "due")))}
				changed.expects.StepID = rapid.Int64Range(0, 2).Draw(t, "expects")
				for i, a := range []*addrIndex{one, many} {
					s[i].session, s[i].owner, s[i].stale = changed, owner, true
					a.changed = append(a.changed, s[i])
				}
			}
			many.moveAll()
			for _, s := range one.changed {
				one.move(s)
			}
			one.changed, many.changed = nil, nil
			for _, s := range slots {
				if s[0].stale || s[1].stale || s[0].key.due != s[1].key.due {
					t.Fatalf("one is at %v, the other at %v", s[0].key, s[1].key)
				}
			}
			sameIndex(t, one.attached, many.attached, slots)
			sameIndex(t, one.detached, many.detached, slots)
		}
	})
}

// sameIndex fails unless the slots of each pair have the same position in both.
func sameIndex(t *rapid.T, one, many stepIndex, pairs [][2]*slot) {
	if len(one) != len(many) {
		t.Fatalf("%d lists, want %d", len(many), len(one))
	}
	other := map[*slot]*slot{}
	for _, p := range pairs {
		other[p[0]] = p[1]
	}
	for expects, same := range one {
		if !slices.EqualFunc(same, many[expects], func(a, b *slot) bool { return other[a] == b }) {
			t.Fatalf("the lists of %v differ", expects)
		}
	}
}

// TestStepIndexStaysSorted adds and removes slots at random.
func TestStepIndexStaysSorted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := stepIndex{}
		var in []*slot
		for range rapid.IntRange(1, 60).Draw(t, "times") {
			if len(in) > 0 && rapid.IntRange(0, 2).Draw(t, "remove") == 2 {
				i := rapid.IntRange(0, len(in)-1).Draw(t, "which")
				all.remove(in[i])
				in = slices.Delete(in, i, i+1)
			} else {
				s := slotDue(time.Duration(rapid.IntRange(0, 9).Draw(t, "due"))) // some at the same moment
				s.session.expects.StepID = rapid.Int64Range(0, 2).Draw(t, "expects")
				all.add(s)
				in = append(in, s)
			}
		}
		n := 0
		for expects, same := range all {
			n += len(same)
			for i, s := range same {
				if s.session.expects != expects || !slices.Contains(in, s) || i > 0 && s.session.due().Before(same[i-1].session.due()) {
					t.Fatalf("position %d of the list of %v is wrong", i, expects)
				}
			}
			if len(same) == 0 {
				t.Fatalf("the list of %v is empty and still there", expects)
			}
		}
		if n != len(in) {
			t.Fatalf("%d in the lists, want %d", n, len(in))
		}
	})
}
