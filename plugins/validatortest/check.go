// Package validatortest checks that a validator keeps the contract of package validator.
//
// It checks the contract alone, not whether verdicts are correct; that is for the validator's own tests.
// A test that uses it is short:
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
// Run it with the race detector (go test -race), which finds unsafe concurrent use.
package validatortest

import (
	"cmp"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
)

// Options adapt Check to a validator. The zero value suits most validators.
type Options struct {
	// StepIDs are step ids in the validator's settings. They are used in addition to 0 to 12, the
	// ids that an Expecter expects, and the ends of the range.
	StepIDs []int64
	// Data holds samples of the data of steps, used in addition to generic samples.
	Data [][]byte
	// Sessions is the number of generated sessions; 0 means 24. With fewer, no session is long
	// enough to find a State that grows slowly.
	Sessions int
	// Seed selects the generated sessions. The same seed gives the same sessions.
	Seed uint64
	// Budget is the time until the deadline of a call; 0 means one second, the agent's minimum.
	Budget time.Duration
	// Patience is the time after which a call counts as hung; 0 means 10 seconds.
	Patience time.Duration
	// Progress, if it is not nil, is called from time to time with the progress, by one goroutine
	// at a time.
	Progress func(done, of int)
}

func (o Options) withDefaults() Options {
	o.Sessions = cmp.Or(o.Sessions, defaultSessions)
	o.Budget = cmp.Or(o.Budget, time.Second)
	o.Patience = cmp.Or(o.Patience, 10*time.Second)
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	return o
}

// Check runs generated sessions of many kinds through the validators that fresh returns. It reports each
// broken law of Laws once, with t.Errorf and the call that shows it.
//
// Fresh is called about fifty times, always from the goroutine of the test. Many goroutines use the
// validators that it returns. Each validator must be made from the same settings.
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

// A Failure is a broken law.
type Failure struct {
	// Law is the name of the law.
	Law string
	// Text describes the error and the call that shows it, in several lines.
	Text string
}

// Examine is Check outside of a test. It returns the broken laws in the order in which they were found,
// and stops at an error of fresh.
func Examine(fresh func() (validator.Validator, error), opts Options) (failures []Failure, err error) {
	k := newKit(opts)
	k.failed = func(f Failure) { failures = append(failures, f) }
	// In a goroutine of its own, which fresh can end, as t.Fatal does in a test.
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

// examine checks all laws.
func (k *kit) examine(g *generator) {
	var asked []question
	v := k.fresh()
	sessions := k.opts.Sessions
	for n := range sessions {
		k.progress(n)
		asked = append(asked, k.walk(v, g, fmt.Sprintf("session-%d", n), sessionSteps(n, sessions))...)
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

// progress reports progress: the sessions, the hostile questions and the concurrent ones are a third each.
func (k *kit) progress(done int) {
	k.progressMu.Lock()
	defer k.progressMu.Unlock()
	k.done = max(k.done, done)
	k.opts.Progress(k.done, 3*k.opts.Sessions)
}

// walk runs one session as the agent would and checks the laws at every step. From a random step on, it
// also asks a validator that has not seen the session before.
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
