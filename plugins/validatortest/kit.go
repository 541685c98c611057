package validatortest

import (
	"bytes"
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
)

// A kit is one run of Check.
type kit struct {
	t        testing.TB
	fresh    func() validator.Validator
	patience time.Duration
	hung     atomic.Bool // a call did not come back; there is no sense in asking on

	mu       sync.Mutex
	reported map[string]bool // by law
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

func (k *kit) instance() validator.Validator {
	k.t.Helper()
	v := k.fresh()
	if v == nil {
		k.t.Fatalf("fresh returned no validator")
	}
	return v
}

// report says once for each law that it is broken and which question shows it.
func (k *kit) report(law string, q question, format string, args ...any) {
	k.t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.reported[law] {
		k.reported[law] = true
		k.t.Errorf("%s: %s\n\t%s", law, fmt.Sprintf(format, args...), q)
	}
}

// ask puts a question to a validator and looks at what every call must keep. The second
// result is false when there was no answer.
func (k *kit) ask(ctx context.Context, v validator.Validator, q question) (answer, bool) {
	k.t.Helper()
	given := lend(q)
	var got answer
	if !k.call(q, func() { got.verdict, got.err = v.Validate(ctx, given.session, given.step) }) {
		return answer{}, false
	}
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
	return own, true
}

// expects asks which step must come next. Twice, since it is pure as well.
func (k *kit) expects(e validator.Expecter, q question) (id int64, known bool) {
	k.t.Helper()
	id, known, ok := k.expectsOnce(e, q)
	again, knownAgain, okAgain := k.expectsOnce(e, q)
	if ok && okAgain && (id != again || known != knownAgain) {
		k.report("purity", q, "Expects said (%d, %t) and then (%d, %t)", id, known, again, knownAgain)
	}
	return id, known && ok
}

func (k *kit) expectsOnce(e validator.Expecter, q question) (id int64, known, ok bool) {
	k.t.Helper()
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
	k.t.Helper()
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
	timer := time.NewTimer(k.patience)
	defer timer.Stop()
	select {
	case p := <-panicked:
		if p != "" {
			k.report("answer", q, "%s", p)
		}
		return p == ""
	case <-timer.C:
		k.hung.Store(true)
		k.report("answer", q, "no answer within %v", k.patience)
		return false
	}
}
