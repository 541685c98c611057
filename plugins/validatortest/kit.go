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
	fresh  func() validator.Validator // never returns nil
	failed func(Failure)
	hung   atomic.Bool // a call did not return in time; no further calls are made

	progressMu sync.Mutex
	done       int // guarded by progressMu

	mu       sync.Mutex
	reported map[string]bool // by law; guarded by mu
}

func newKit(opts Options) *kit {
	return &kit{opts: opts.withDefaults(), reported: make(map[string]bool)}
}

// A question holds the arguments of a call of Validate.
type question struct {
	session validator.Session
	step    validator.Step
	// want is the first answer; answered is false if there was none.
	want     answer
	answered bool
}

type answer struct {
	verdict validator.Verdict
	err     error
}

// decided reports whether the answer was a verdict.
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

// report reports a broken law with the question that shows it, once for each law.
func (k *kit) report(law string, q question, format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.reported[law] {
		k.reported[law] = true
		k.failed(Failure{Law: law, Text: fmt.Sprintf(format, args...) + "\n\t" + q.String()})
	}
}

// attempts is the number of calls that must be too slow before the validator is blamed and not the
// machine.
const attempts = 3

// ask puts a question to a validator and checks the laws that hold for every call. The second result is
// false if there was no answer.
func (k *kit) ask(ctx context.Context, v validator.Validator, q question) (answer, bool) {
	var given question
	var got answer
	for range attempts {
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
		return k.checkOwnership(q, given, got), true
	}
	k.hung.Store(true)
	k.report("deadline", q, "the context ended after %v, and the call did not, %d times", k.opts.Budget, attempts)
	return answer{}, false
}

// grace is the time after its deadline in which a call may still return.
const grace = 500 * time.Millisecond

// checkOwnership checks what a call did with its arguments, and overwrites slices that it may not keep.
func (k *kit) checkOwnership(q, given question, got answer) answer {
	if !intact(given.session.State, q.session.State) || !intact(given.step.Data, q.step.Data) {
		k.report("ownership", q, "the validator changed its input, or appended to it in place")
	}
	own := answer{verdict: clone(got.verdict), err: got.err}
	scribble(given.session.State)
	scribble(given.step.Data)
	if !bytes.Equal(got.verdict.State, own.verdict.State) {
		k.report("ownership", q, "the State that was returned is memory that was lent; return a copy")
	}
	// A validator that keeps what it returned gives a wrong answer to the next question.
	scribble(got.verdict.State)
	if got.verdict.Fault != nil {
		*got.verdict.Fault = validator.Fault{}
	}
	return own
}

// expects calls Expects twice, since it must be a pure function too.
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
	if !k.call(q, func() { id, known = e.Expects(given.session) }) {
		return 0, false, false
	}
	if !intact(given.session.State, q.session.State) {
		k.report("ownership", q, "Expects changed its input, or appended to it in place")
	}
	scribble(given.session.State)
	return id, known, true
}

// call runs f, which calls the validator once, and reports whether f returned.
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
