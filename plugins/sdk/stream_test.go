package sdk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
	"github.com/stepagent/stepagent/plugins/validator"
)

// A conversation is an open stream whose answers are kept by call.
type conversation struct {
	t       *testing.T
	stream  validatorv1.ValidatorService_JudgeClient
	answers map[uint64]*validatorv1.StepVerdicts
}

func judging(t *testing.T, validators ...Validator) *conversation {
	t.Helper()
	client := dial(t, plugin(validators...))
	names := make([]string, len(validators))
	for i, v := range validators {
		names[i] = v.Name
	}
	for _, r := range configure(t, client, names...).GetResults() {
		if len(r.GetProblems()) > 0 {
			t.Fatal(r)
		}
	}
	stream, err := client.Judge(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &conversation{t: t, stream: stream, answers: map[uint64]*validatorv1.StepVerdicts{}}
}

// send puts a batch of calls, numbered by their step ids.
func (c *conversation) send(budget time.Duration, states [][]byte, ids ...int64) {
	c.t.Helper()
	batch := &validatorv1.JudgeRequest{}
	for _, id := range ids {
		call := EncodeCall(validator.Session{ID: "s", Position: 2, Steps: 10}, states, validator.Step{ID: id})
		call.Call, call.BudgetNs = uint64(id), int64(budget)
		batch.Calls = append(batch.Calls, call)
	}
	if err := c.stream.Send(batch); err != nil {
		c.t.Fatal(err)
	}
}

// answer receives until the call is answered and returns what the first validator says.
func (c *conversation) answer(call uint64) Answer { return c.all(call)[0] }

func (c *conversation) all(call uint64) []Answer {
	c.t.Helper()
	for c.answers[call] == nil {
		r, err := c.stream.Recv()
		if err != nil {
			c.t.Fatal(err)
		}
		for _, a := range r.GetAnswers() {
			if c.answers[a.GetCall()] != nil {
				c.t.Fatalf("call %d is answered twice", a.GetCall())
			}
			c.answers[a.GetCall()] = a
		}
	}
	var all []Answer
	for _, v := range c.answers[call].GetVerdicts() {
		all = append(all, DecodeAnswer(v))
	}
	return all
}

func TestEveryInstanceJudgesWithItsOwnState(t *testing.T) {
	c := judging(t, Validator{Name: "a", New: made(counter{})}, Validator{Name: "b", New: made(counter{})})
	c.send(time.Minute, [][]byte{[]byte(".."), nil}, 3)
	want := []Answer{
		{Verdict: validator.PassWith([]byte("...")), Expects: 4, Known: true},
		{Verdict: validator.FailWith(validator.OutOfOrder, "not the next", nil), Expects: 1, Known: true},
	}
	if diff := cmp.Diff(want, c.all(3)); diff != "" {
		t.Error(diff)
	}
}

// expectPosition tells the position at which it is asked.
type expectPosition struct{ validateFunc }

func (expectPosition) Expects(s validator.Session) (int64, bool) { return int64(s.Position), true }

func TestExpectsIsAskedOneStepOn(t *testing.T) {
	c := judging(t, Validator{Name: "a", New: made(expectPosition{pass})})
	c.send(time.Minute, nil, 1)
	if a := c.answer(1); a.Expects != 3 || !a.Known {
		t.Errorf("expects %d (%v) after the judgement at position 2, want that of position 3", a.Expects, a.Known)
	}
}

// A teller says what it was given, and declares what it reads.
type teller struct{ reads validator.Inputs }

func (t teller) Validate(_ context.Context, s validator.Session, step validator.Step) (validator.Verdict, error) {
	return validator.PassWith(fmt.Append(nil, s.ID, s.Position, s.Steps, step)), nil
}

func (t teller) Reads() validator.Inputs { return t.reads }

func (t teller) Expects(s validator.Session) (int64, bool) {
	return int64(100*s.Position + s.Steps), true
}

// TestEachSeesWhatItDeclares, though the process is sent what any of its validators reads.
func TestEachSeesWhatItDeclares(t *testing.T) {
	var all []Validator
	reads := []validator.Inputs{0, validator.InputPosition, validator.InputStepID | validator.InputSteps, validator.AllInputs}
	for i, in := range reads {
		all = append(all, Validator{Name: fmt.Sprint(i), New: made(teller{in})})
	}
	c := judging(t, all...)
	c.send(time.Minute, nil, 7) // at position 2 of 10
	for i, a := range c.all(7) {
		session, step := reads[i].Mask(validator.Session{Position: 2, Steps: 10}, validator.Step{ID: 7})
		want := fmt.Sprint(session.ID, session.Position, session.Steps, step)
		expects := int64(session.Steps)
		if reads[i]&validator.InputPosition != 0 {
			expects += 300
		}
		if string(a.Verdict.State) != want || a.Expects != expects {
			t.Errorf("%v: told %s, want %s; expects %d, want %d", reads[i], a.Verdict.State, want, a.Expects, expects)
		}
	}
}

func pass(context.Context, validator.Session, validator.Step) (validator.Verdict, error) {
	return validator.PassWith(nil), nil
}

func TestASlowStepDoesNotDelayItsBatch(t *testing.T) {
	release := make(chan struct{})
	c := judging(t, Validator{Name: "a", New: made(validateFunc(
		func(ctx context.Context, s validator.Session, step validator.Step) (validator.Verdict, error) {
			if step.ID < maxConcurrent {
				<-release
			}
			return pass(ctx, s, step)
		}))})
	ids := make([]int64, maxConcurrent)
	for i := range ids {
		ids[i] = int64(i) + 1
	}
	c.send(time.Hour, nil, ids...) // all but the last are slow
	if a := c.answer(maxConcurrent); a.Err != nil {
		t.Error(a.Err)
	}
	if len(c.answers) != 1 {
		t.Errorf("%d answers came, want the quick one alone", len(c.answers))
	}
	close(release)
	for _, id := range ids {
		c.answer(uint64(id))
	}
}

func TestManyMoreStepsThanAreJudgedAtOnce(t *testing.T) {
	c := judging(t, Validator{Name: "a", New: made(validateFunc(pass))})
	ids := make([]int64, 3*maxConcurrent)
	for i := range ids {
		ids[i] = int64(i) + 1
	}
	c.send(time.Hour, nil, ids...)
	for _, id := range ids {
		if a := c.answer(uint64(id)); a.Err != nil {
			t.Fatal(a.Err)
		}
	}
}

func TestTheBudgetEndsTheContext(t *testing.T) {
	c := judging(t, Validator{Name: "a", New: made(validateFunc(
		func(ctx context.Context, _ validator.Session, _ validator.Step) (validator.Verdict, error) {
			<-ctx.Done()
			return validator.Verdict{}, ctx.Err()
		}))})
	c.send(time.Millisecond, nil, 1)
	if a := c.answer(1); a.Err == nil || a.Err.Error() != context.DeadlineExceeded.Error() {
		t.Errorf("got %+v", a)
	}
}

// ownError is an author's own kind of error, of which the pointer that is nil is none.
type ownError struct{ text string }

func (e *ownError) Error() string { return e.text }

func TestWhatAnAuthorMayDoWrongStaysInItsCall(t *testing.T) {
	wrong := map[int64]func() (validator.Verdict, error){
		1: func() (validator.Verdict, error) { panic("oh") },
		2: func() (validator.Verdict, error) { return validator.PassWith(nil), errors.New("could not") },
		3: func() (validator.Verdict, error) { return validator.Verdict{}, nil },
		4: func() (validator.Verdict, error) { return validator.PassWith(make([]byte, MaxMessageBytes)), nil },
		5: func() (validator.Verdict, error) { return validator.FailWith("because", "", nil), nil },
		6: func() (validator.Verdict, error) {
			return validator.FailWith(validator.RuleBroken, "\xff", nil), nil
		},
		7: func() (validator.Verdict, error) { return validator.Verdict{}, errors.New("\xff") },
		8: func() (validator.Verdict, error) { return validator.Verdict{}, (*ownError)(nil) },
	}
	c := judging(t, Validator{Name: "a", New: made(validateFunc(
		func(ctx context.Context, s validator.Session, step validator.Step) (validator.Verdict, error) {
			if f := wrong[step.ID]; f != nil {
				return f()
			}
			return pass(ctx, s, step)
		}))})
	c.send(time.Minute, nil, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	for id, want := range map[uint64]string{
		1: "panic: oh", 2: "could not", 3: "malformed verdict: outcome", 4: "malformed verdict: state",
		5: "malformed verdict: reason", 6: "malformed verdict: detail", 7: "undecided, with no reason given",
		8: "panic: runtime error",
	} {
		if a := c.answer(id); a.Err == nil || !strings.HasPrefix(a.Err.Error(), want) {
			t.Errorf("step %d: error = %v, want %s", id, a.Err, want)
		}
	}
	if a := c.answer(9); a.Err != nil {
		t.Errorf("the sound step: %v", a.Err)
	}
}

func TestTheStreamEndsWhenAllIsAnswered(t *testing.T) {
	c := judging(t, Validator{Name: "a", New: made(validateFunc(pass))})
	c.send(time.Minute, nil, 1, 2, 3)
	if err := c.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for id := range uint64(3) {
		c.answer(id + 1)
	}
	if r, err := c.stream.Recv(); err == nil {
		t.Errorf("more than was asked: %v", r)
	}
}

// TestAnswersAreSentInBatches: answers of any size are sent whole, in order, in messages within the limit.
func TestAnswersAreSentInBatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, MaxBatchBytes/3), 0, 50).Draw(t, "sizes")
		many := rapid.SampledFrom([]int{0, MaxBatchCalls, 3 * MaxBatchCalls}).Draw(t, "many")
		sizes = append(sizes, make([]int, many)...)
		answers := make(chan *validatorv1.StepVerdicts, len(sizes))
		for i, n := range sizes {
			answers <- &validatorv1.StepVerdicts{Call: uint64(i), Verdicts: []*validatorv1.Verdict{{State: make([]byte, n)}}}
		}
		close(answers)
		next := uint64(0)
		err := sendAnswers(answers, func(r *validatorv1.JudgeResponse) error {
			if n := len(r.GetAnswers()); n == 0 || n > MaxBatchCalls {
				t.Fatalf("a batch of %d answers", n)
			}
			if n := proto.Size(r); n > MaxMessageBytes {
				t.Fatalf("a message of %d bytes", n)
			}
			for _, a := range r.GetAnswers() {
				if a.GetCall() != next {
					t.Fatalf("answer %d, want %d", a.GetCall(), next)
				}
				next++
			}
			return nil
		})
		if err != nil || next != uint64(len(sizes)) {
			t.Fatalf("%d of %d answers sent, %v", next, len(sizes), err)
		}
	})
}

func TestSendingEndsWithTheStream(t *testing.T) {
	answers := make(chan *validatorv1.StepVerdicts, 1)
	answers <- &validatorv1.StepVerdicts{}
	gone := errors.New("gone")
	if err := sendAnswers(answers, func(*validatorv1.JudgeResponse) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("error = %v", err)
	}
}
