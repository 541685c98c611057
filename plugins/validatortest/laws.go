package validatortest

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stepagent/stepagent/plugins/validator"
)

// The goroutines of the concurrency check, and the number of questions that each asks.
const (
	clients   = 16
	questions = 200
)

// judge asks v a question, checks the answer by every law, and returns the question with the answer. The
// other validator, if it is not nil, must give the same answer.
func (k *kit) judge(v, other validator.Validator, q question) question {
	ctx := context.Background()
	q.want, q.answered = k.ask(ctx, v, q)
	if !q.answered {
		return q
	}
	k.form(q)
	k.same(ctx, "purity", v, q, "asked twice: the validator remembers something, or keeps what it was lent or returned")
	if other != nil {
		k.same(ctx, "purity", other, q, "a validator that has seen nothing of this session judges otherwise")
	}
	k.same(ctx, "session ID", v, q.named("another"), "with another session ID")
	k.same(ctx, "empty is nil", v, q.emptied(), "with empty State and Data for nil, or the other way round")
	k.unknownField(v, q)
	k.inputs(v, other, q)
	k.endedContext(v, q)
	k.expectation(v, q)
	return q
}

func (k *kit) form(q question) {
	if q.want.err != nil {
		if o := q.want.verdict.Outcome; o != validator.Undecided {
			k.report("form", q, "%s together with error %q", o, q.want.err)
		}
		return
	}
	if err := q.want.verdict.Check(); err != nil {
		k.report("form", q, "%v", err)
	}
}

// same asks again and compares with the first answer.
func (k *kit) same(ctx context.Context, law string, v validator.Validator, q question, how string) {
	if got, ok := k.ask(ctx, v, q); ok && !alike(got, q.want) {
		k.report(law, q, "%s\n\tfirst: %v\n\tthen:  %v", how, q.want, got)
	}
}

// unknownField asks again with an unknown field in the data, as future clients may send one. State and
// detail may differ, since they may contain the data.
func (k *kit) unknownField(v validator.Validator, q question) {
	data := bytes.TrimSpace(q.step.Data)
	if len(data) < 2 || data[0] != '{' || !json.Valid(data) {
		return
	}
	more := q
	more.step.Data = append([]byte(`{"x_unknown_field":[{"a":null},1e3,"b"]`), data[1:]...)
	if len(bytes.TrimSpace(data[1:])) > 1 {
		more.step.Data = append([]byte(`{"x_unknown_field":[{"a":null},1e3,"b"],`), data[1:]...)
	}
	got, ok := k.ask(context.Background(), v, more)
	if !ok {
		return
	}
	was, is := q.want.verdict, got.verdict
	if (got.err != nil) != (q.want.err != nil) || is.Outcome != was.Outcome || is.Reason != was.Reason || !reflect.DeepEqual(is.Fault, was.Fault) {
		k.report("unknown fields", more, "with a field in the data that it does not know it judges otherwise\n\tfirst: %v\n\tthen:  %v", q.want, got)
	}
}

// inputs asks a Declarer again with its declared inputs alone, as the agent does, which may also reuse
// the verdict for another step with the same inputs.
func (k *kit) inputs(v, other validator.Validator, q question) {
	d, ok := k.declares(v, q)
	if other != nil {
		if also, okToo := k.declares(other, q); ok && okToo && also != d {
			k.report("inputs", q, "one says that it reads %s, and another with the same settings %s", d, also)
		}
	}
	if !ok || !d.declared {
		return
	}
	masked := q.masked(d.reads)
	if got, ok := k.ask(context.Background(), v, masked); ok && !alike(got, q.want) {
		k.report("inputs", q, "it says that it reads %s, and judges otherwise without the rest\n\tfirst: %v\n\tthen:  %v",
			d, q.want, got)
	}
	if e, ok := v.(validator.Expecter); ok {
		id, known := k.expects(e, q)
		if again, knownAgain := k.expects(e, masked); again != id || knownAgain != known {
			k.report("inputs", q, "it says that it reads %s, and Expects says (%d, %t), and without the rest (%d, %t)",
				d, id, known, again, knownAgain)
		}
	}
}

// A declaration is the declared inputs of a validator.
type declaration struct {
	reads    validator.Inputs
	declared bool
}

func (d declaration) String() string {
	if !d.declared {
		return "everything, as it is no Declarer"
	}
	return d.reads.String()
}

// declares reads the declared inputs of a validator twice; both must be the same.
func (k *kit) declares(v validator.Validator, q question) (first declaration, ok bool) {
	var second declaration
	if !k.call(q, func() {
		first.reads, first.declared = validator.Declared(v)
		second.reads, second.declared = validator.Declared(v)
	}) {
		return declaration{}, false
	}
	if first != second {
		k.report("inputs", q, "it says that it reads %s, and then %s", first, second)
	}
	return first, true
}

func (k *kit) endedContext(v validator.Validator, q question) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	got, ok := k.ask(ended, v, q)
	if ok && got.err == nil && !alike(got, q.want) {
		k.report("context", q, "when the context has ended, return the same verdict or an error\n\tfirst: %v\n\tthen:  %v", q.want, got)
	}
}

func (k *kit) expectation(v validator.Validator, q question) {
	e, ok := v.(validator.Expecter)
	if !ok {
		return
	}
	id, known := k.expects(e, q)
	if !known {
		return
	}
	q.step.ID = id
	got, ok := k.ask(context.Background(), v, q)
	if ok && got.err == nil && got.verdict.Outcome == validator.Fail && got.verdict.Reason == validator.OutOfOrder {
		k.report("expectation", q, "Expects said %d, and that step got: %v", id, got)
	}
}

// used requires that some answers were verdicts, not errors.
func (k *kit) used(asked []question) {
	if !slices.ContainsFunc(asked, question.decided) {
		k.report("use", asked[0], "none of %d questions got a verdict; fill in Options so that some do\n\tfirst: %v", len(asked), asked[0].want)
	}
}

// concurrently asks again from many goroutines, each of which starts at another question.
func (k *kit) concurrently(v validator.Validator, asked []question) {
	apart := max(1, len(asked)/questions)
	total := clients * (len(asked) / apart)
	var all sync.WaitGroup
	var done atomic.Int64
	for n := range clients {
		all.Go(func() {
			client := string(rune('a' + n))
			for i := range len(asked) / apart {
				if n := int(done.Add(1)); n%questions == 0 {
					k.progress(k.opts.Sessions * (2*total + n) / total)
				}
				q := asked[(i*apart+n)%len(asked)].named(client)
				k.same(context.Background(), "concurrency", v, q, "asked by many goroutines")
				if e, ok := v.(validator.Expecter); ok {
					k.expects(e, q)
				}
			}
		})
	}
	all.Wait()
}

func (q question) named(id string) question {
	q.session.ID = id
	return q
}

// masked returns the question without undeclared inputs. The session's ID has a law of its own.
func (q question) masked(reads validator.Inputs) question {
	id := q.session.ID
	q.session, q.step = reads.Mask(q.session, q.step)
	q.session.ID = id
	return q
}

func (q question) emptied() question {
	for _, b := range []*[]byte{&q.session.State, &q.step.Data} {
		switch {
		case *b == nil:
			*b = []byte{}
		case len(*b) == 0:
			*b = nil
		}
	}
	return q
}

// alike compares two answers. The texts of errors may differ.
func alike(a, b answer) bool {
	if a.err != nil || b.err != nil {
		return a.err != nil && b.err != nil
	}
	v, w := a.verdict, b.verdict
	return v.Outcome == w.Outcome && v.Reason == w.Reason && v.Detail == w.Detail &&
		bytes.Equal(v.State, w.State) && reflect.DeepEqual(v.Fault, w.Fault)
}
