package sequence_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/plugins/sequence"
	"github.com/stepagent/stepagent/plugins/validator"
)

// testingTB is what *testing.T and *rapid.T have in common and the tests need.
type testingTB interface {
	Helper()
	Fatalf(format string, args ...any)
	Context() context.Context
}

// A client sends steps of one session and holds what the agent holds for it.
type client struct {
	validator.Validator
	session validator.Session
}

func (c *client) send(t testingTB, id int64) validator.Verdict {
	t.Helper()
	expected, known := c.Validator.(validator.Expecter).Expects(c.session)
	v, err := c.Validate(t.Context(), c.session, validator.Step{ID: id})
	if err != nil {
		t.Fatalf("step %d in position %d: %v", id, c.session.Position, err)
	}
	if passed := v.Outcome == validator.Pass; passed != (known && id == expected) {
		t.Fatalf("step %d in position %d: expected %d (known %t), got a %s", id, c.session.Position, expected, known, v.Outcome)
	}
	c.session.Position++
	c.session.State = v.State
	return v
}

// TestModel compares with a model: the list is a slice, and what must come is looked up in it.
func TestModel(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				first := rapid.Int64Range(-20, 20).Draw(t, "first")
				last := first + rapid.Int64Range(0, 12).Draw(t, "more")
				var list []int64
				for id := first; id <= last; id++ {
					list = append(list, id)
				}
				v, err := sequence.New([]byte(settings(first, last, mode)))
				if err != nil {
					t.Fatal(err)
				}
				c := client{Validator: v, session: validator.Session{Steps: 10}}
				want := first
				for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
					id := rapid.OneOf(
						rapid.Just(want),
						rapid.Int64Range(first-2, last+2),
						rapid.Int64(),
					).Draw(t, "id")
					place := slices.Index(list, id)
					inOrder := id == want && place >= 0

					got := c.send(t, id)
					if passed := got.Outcome == validator.Pass; passed != inOrder {
						t.Fatalf("step %d, id %d: got a %s, the model wants %d", i, id, got.Outcome, want)
					}
					switch {
					case mode == "advance":
						want = list[(i+1)%len(list)]
					case inOrder:
						want = list[(place+1)%len(list)]
					case mode == "resync" && id == math.MaxInt64:
						want = first
					case mode == "resync":
						want = id + 1
					}
				}
			})
		})
	}
}
