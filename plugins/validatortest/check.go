// Package validatortest checks that a validator keeps the contract of package validator.
//
// It knows nothing of what a validator judges, so it says nothing of whether the verdicts
// are true; that is for the validator's own tests. A test that uses it is short:
//
//	func TestContract(t *testing.T) {
//		validatortest.Check(t, func() validator.Validator {
//			v, err := mine.New([]byte(`{"limit":7}`))
//			if err != nil {
//				t.Fatal(err)
//			}
//			return v
//		}, validatortest.Options{})
//	}
//
// Run it with the race detector on (go test -race): whether a validator is safe for
// concurrent use shows only there.
package validatortest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
)

// Options fit Check to a validator. The zero value is right for most.
type Options struct {
	// StepIDs are step ids that the validator's settings speak of. They come up beside the
	// kit's own, which are 0 to 12, what an Expecter expects and the ends of the range.
	StepIDs []int64
	// Data are samples of what clients send along. They come up beside the kit's own.
	Data [][]byte
	// Seed gives other sessions. The same seed always gives the same ones.
	Seed uint64
	// Patience is how long one call may take before it counts as hung; 0 means 10 seconds.
	Patience time.Duration
}

const defaultPatience = 10 * time.Second

// Check puts sessions of many kinds to the validators that fresh returns and reports with
// t.Errorf each law of the contract that is broken, once, with the question that shows it:
//
//   - Answer: no call panics or hangs, whatever the step, its data and the state.
//   - Form: a verdict passes [validator.Verdict.Check]; undecided goes with an error and
//     only with one.
//   - Ownership: what the validator is given is neither changed nor written behind, and what
//     it returns shares no memory with it.
//   - Purity: the same question gets the same verdict, from the same validator and from one
//     that fresh has just made.
//   - Session ID: nothing depends on it.
//   - Empty is nil: State and Data with no bytes mean the same as nil ones, since the border
//     between processes does not tell them apart.
//   - Context: a context that has ended hurries the call and changes no verdict.
//   - Expectation: a step that an [validator.Expecter] expects is not out of order.
//   - Use: at least one question gets a verdict. Where all get errors, Options are to be
//     filled in.
//   - Concurrency: many goroutines get the verdicts that one gets. This is put to the test
//     only when all the rest holds.
//
// Fresh is called some dozens of times, always from the goroutine of the test, and what it
// returns is used by many goroutines. Each validator must be made from the same settings.
func Check(t testing.TB, fresh func() validator.Validator, opts Options) {
	t.Helper()
	if opts.Patience == 0 {
		opts.Patience = defaultPatience
	}
	k := &kit{t: t, fresh: fresh, patience: opts.Patience, reported: make(map[string]bool)}
	g := newGenerator(opts)

	var asked []question
	v := k.instance()
	for n := range sessions {
		asked = append(asked, k.walk(v, g, fmt.Sprintf("session-%d", n), sessionSteps(n))...)
	}
	other := k.instance()
	for _, q := range g.hostile(asked) {
		asked = append(asked, k.judge(v, other, q))
	}
	k.used(asked)
	if len(k.reported) == 0 {
		k.concurrently(k.instance(), asked)
	}
}

// walk goes through one session as the agent would, with every step put to the laws. From
// some step on, a validator that has seen nothing of the session is asked as well.
func (k *kit) walk(v validator.Validator, g *generator, id string, steps int) []question {
	var asked []question
	var other validator.Validator
	session := validator.Session{ID: id, Steps: steps}
	joins := g.rand.IntN(steps)
	for i := range steps {
		if i == joins {
			other = k.instance()
		}
		expected, known := int64(session.Position)+1, true
		if e, ok := v.(validator.Expecter); ok {
			expected, known = k.expects(e, question{session: session})
		}
		q := k.judge(v, other, question{session: session, step: g.step(session, expected, known)})
		asked = append(asked, q)
		if q.decided() {
			session.Position++
			session.State = q.want.verdict.State
		}
	}
	return asked
}
