package validatortest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
)

// A kit is one run of Check or Examine.
type kit struct {
	opts   Options
	fresh  func() validator.Validator // does not return without one
	failed func(Failure)
	hung   atomic.Bool // a call did not come back in time; there is no sense in asking on

	telling sync.Mutex
	told    int

	mu       sync.Mutex
	reported map[string]bool // by law
}

func newKit(opts Options) *kit {
	return &kit{opts: opts.withDefaults(), reported: make(map[string]bool)}
}

// A question is what Validate is asked.
type question struct {
	session validator.Session
	step    validator.Step
	// want is the answer that the first to be asked gave; answered tells whether there was
	// one at all.
	want     answer
	answered bool
}

type answer struct {
	verdict validator.Verdict
	err     error
}

// decided reports whether the question got a verdict.
func (q question) decided() bool { return q.answered && q.want.err == nil }

func (q question) String() string {
	s, st := q.session, q.step
	return fmt.Sprintf("session %q, position %d of %d, state %s\n\tstep %d, timeout %v, interval %v, at %v, gap %v, data %s",
		s.ID, s.Position, s.Steps, quote(s.State), st.ID, st.Timeout, st.Interval, st.At, st.Gap, quote(st.Data))
}

func (a answer) String() string {
	if a.err != nil {
		return fmt.Sprintf("error %q", a.err)
	}
	v := a.verdict
	return fmt.Sprintf("%s, reason %q, detail %q, state %s, fault %+v", v.Outcome, v.Reason, v.Detail, quote(v.State), v.Fault)
}

func quote(b []byte) string {
	if b == nil {
		return "nil"
	}
	return fmt.Sprintf("%.200q", b)
}

// report says once for each law that it is broken and which question shows it.
func (k *kit) report(law string, q question, format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.reported[law] {
		k.reported[law] = true
		k.failed(Failure{Law: law, Text: fmt.Sprintf(format, args...) + "\n\t" + q.String()})
	}
}

// tries is how often a call may be too slow before that is the validator's doing and not the
// machine's.
const tries = 3

// ask puts a question to a validator and looks at what every call must keep. The second
// result is false when there was no answer.
func (k *kit) ask(ctx context.Context, v validator.Validator, q question) (answer, bool) {
	var given question
	var got answer
	for range tries {
		given, got = lend(q), answer{}
		ctx, cancel := context.WithTimeout(ctx, k.opts.Budget)
		began := time.Now()
		ok := k.call(q, func() { got.verdict, got.err = v.Validate(ctx, given.session, given.step) })
		took := time.Since(began)
		cancel()
		if !ok {
			return answer{}, false
		}
		broken, isBroken := errors.AsType[*Broken](got.err)
		switch {
		case took > k.opts.Budget+grace, isBroken && broken.Law == "deadline":
			continue // the machine may be busy
		case isBroken:
			k.hung.Store(broken.Law == "answer")
			k.report(broken.Law, q, "%s", broken.Problem)
		}
		return k.settle(q, given, got), true
	}
	k.hung.Store(true)
	k.report("deadline", q, "the context ended after %v, and the call did not, %d times", k.opts.Budget, tries)
	return answer{}, false
}

// grace is how much later than its context a call may end.
const grace = 500 * time.Millisecond

// settle looks at what a call has done to what it was given, and spoils what it may not keep.
func (k *kit) settle(q, given question, got answer) answer {
	if !intact(given.session.State, q.session.State) || !intact(given.step.Data, q.step.Data) {
		k.report("ownership", q, "the validator changed its input, or appended to it in place")
	}
	own := answer{verdict: clone(got.verdict), err: got.err}
	scribble(given.session.State)
	scribble(given.step.Data)
	if !bytes.Equal(got.verdict.State, own.verdict.State) {
		k.report("ownership", q, "the State that was returned is memory that was lent; return a copy")
	}
	// A validator that keeps what it returns gives a spoilt answer to the next question.
	scribble(got.verdict.State)
	if got.verdict.Fault != nil {
		*got.verdict.Fault = validator.Fault{}
	}
	return own
}

// expects asks which step must come next. Twice, since it is pure as well.
func (k *kit) expects(e validator.Expecter, q question) (id int64, known bool) {
	id, known, ok := k.expectsOnce(e, q)
	again, knownAgain, okAgain := k.expectsOnce(e, q)
	if ok && okAgain && (id != again || known != knownAgain) {
		k.report("purity", q, "Expects said (%d, %t) and then (%d, %t)", id, known, again, knownAgain)
	}
	return id, known && ok
}

func (k *kit) expectsOnce(e validator.Expecter, q question) (id int64, known, ok bool) {
	given := lend(q)
	var got struct {
		id    int64
		known bool
	}
	if !k.call(q, func() { got.id, got.known = e.Expects(given.session) }) {
		return 0, false, false
	}
	if !intact(given.session.State, q.session.State) {
		k.report("ownership", q, "Expects changed its input, or appended to it in place")
	}
	scribble(given.session.State)
	return got.id, got.known, true
}

// call runs f, which calls the validator once, and reports whether f came back.
func (k *kit) call(q question, f func()) bool {
	if k.hung.Load() {
		return false
	}
	panicked := make(chan string, 1)
	go func() {
		defer func() {
			p := ""
			if r := recover(); r != nil {
				p = fmt.Sprintf("panic: %v\n%s", r, debug.Stack())
			}
			panicked <- p
		}()
		f()
	}()
	timer := time.NewTimer(k.opts.Patience)
	defer timer.Stop()
	select {
	case p := <-panicked:
		if p != "" {
			k.report("answer", q, "%s", p)
		}
		return p == ""
	case <-timer.C:
		k.hung.Store(true)
		k.report("answer", q, "no answer within %v", k.opts.Patience)
		return false
	}
}
