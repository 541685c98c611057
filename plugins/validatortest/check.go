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
	"runtime"
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
	// Budget is how long the context of a call gives it; 0 means one second, which is what the
	// agent gives a step at the least.
	Budget time.Duration
	// Patience is how long one call may take before it counts as hung; 0 means 10 seconds.
	Patience time.Duration
	// Progress, when it is not nil, is told now and then how much has been asked; never by two
	// goroutines at once.
	Progress func(done, of int)
}

func (o Options) withDefaults() Options {
	if o.Budget == 0 {
		o.Budget = time.Second
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	return o
}

// Check puts sessions of many kinds to the validators that fresh returns and reports with
// t.Errorf each of the Laws that is broken, once, with the question that shows it.
//
// Fresh is called some dozens of times, always from the goroutine of the test, and what it
// returns is used by many goroutines. Each validator must be made from the same settings.
func Check(t testing.TB, fresh func() validator.Validator, opts Options) {
	t.Helper()
	k := newKit(opts)
	k.fresh = func() validator.Validator {
		v := fresh()
		if v == nil {
			t.Fatalf("fresh returned no validator")
		}
		return v
	}
	k.failed = func(f Failure) {
		t.Helper()
		t.Errorf("%s: %s", f.Law, f.Text)
	}
	k.examine(newGenerator(opts))
}

// A Failure is a law that is broken.
type Failure struct {
	// Law is the name of the law.
	Law string
	// Text says how it is broken and which question shows it, in several lines.
	Text string
}

// Examine is Check outside of a test. It returns each law that is broken, in the order in
// which that showed, and gives up with an error of fresh.
func Examine(fresh func() (validator.Validator, error), opts Options) (failures []Failure, err error) {
	k := newKit(opts)
	k.failed = func(f Failure) { failures = append(failures, f) }
	// Like a test, on a goroutine of its own that can be ended from within.
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.fresh = func() validator.Validator {
			v, failed := fresh()
			if failed != nil {
				err = failed
				runtime.Goexit()
			}
			return v
		}
		k.examine(newGenerator(opts))
	}()
	<-done
	return failures, err
}

// examine puts everything to the laws.
func (k *kit) examine(g *generator) {
	var asked []question
	v := k.fresh()
	for n := range sessions {
		k.progress(n)
		asked = append(asked, k.walk(v, g, fmt.Sprintf("session-%d", n), sessionSteps(n))...)
	}
	other := k.fresh()
	hostile := g.hostile(asked)
	for n, q := range hostile {
		k.progress(sessions + n*sessions/len(hostile))
		asked = append(asked, k.judge(v, other, q))
	}
	if k.hung.Load() {
		return
	}
	k.used(asked)
	if len(k.reported) == 0 {
		k.concurrently(k.fresh(), asked)
	}
}

// progress tells how much has been asked, where the hostile questions count as much as the
// sessions, and the concurrent ones as well.
func (k *kit) progress(done int) {
	k.telling.Lock()
	defer k.telling.Unlock()
	k.told = max(k.told, done)
	k.opts.Progress(k.told, 3*sessions)
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
			other = k.fresh()
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
