package pluginhost

import (
	"context"
	"testing"
)

// TestTotals: no count goes down when validators are replaced, and those of a validator that has left
// the config are forgotten.
func TestTotals(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	counting, other := Spec{Name: "a", Validator: "counter"}, Spec{Name: "b", Validator: "echo", Path: self(t), Args: []string{"plugin", "good"}}
	old := startSet(t, h, counting, other)
	totals := NewTotals(old)
	want := func(when string, steps ...uint64) {
		t.Helper()
		got := totals.Counts()
		if len(got) != len(steps) {
			t.Fatalf("%s: %d processes, want %d", when, len(got), len(steps))
		}
		for i, n := range steps {
			if c := got[i]; c.Steps != n || c.Took.Count != n || c.Queued.Count != n || !c.Serving || c.Refusing {
				t.Errorf("%s: %v: %d steps, %d took, %d queued, want %d; serving %v, refusing %v",
					when, c.Validators, c.Steps, c.Took.Count, c.Queued.Count, n, c.Serving, c.Refusing)
			}
		}
	}
	passes(t, old.Groups()[0], 1)
	passes(t, old.Groups()[1], 1)
	want("at first", 1, 1)

	next := startSet(t, h, counting)
	totals.Replace(next)
	want("after a reload", 1)
	passes(t, next.Groups()[0], 1)
	passes(t, old.Groups()[0], 1) // which still judges its last steps
	want("while the old one ends", 3)
	old.Close(context.Background())
	totals.End(old)
	want("after its end", 3)

	last := startSet(t, h, other, counting)
	totals.Replace(last)
	next.Close(context.Background())
	totals.End(next)
	want("with one that is back", 0, 3)
	if n := len(totals.ended); n != 1 {
		t.Errorf("%d processes of the past are remembered, want that of a validator in force", n)
	}
}
