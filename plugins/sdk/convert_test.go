package sdk

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
	"github.com/stepagent/stepagent/plugins/validator"
)

// anyBytes draws nil or at least one byte: the wire does not tell nil from empty.
func anyBytes(limit int) *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		b := rapid.SliceOfN(rapid.Byte(), 0, limit).Draw(t, "bytes")
		if len(b) == 0 {
			return nil
		}
		return b
	})
}

func anyWait() *rapid.Generator[validator.Wait] {
	return rapid.Custom(func(t *rapid.T) validator.Wait {
		if !rapid.Bool().Draw(t, "declared") {
			return validator.Wait{}
		}
		return validator.Wait{Duration: time.Duration(rapid.Int64Min(0).Draw(t, "ns")), Declared: true}
	})
}

func anyAnswer() *rapid.Generator[Answer] {
	return rapid.Custom(func(t *rapid.T) Answer {
		if rapid.Bool().Draw(t, "undecided") {
			return Answer{Err: errors.New(rapid.StringMatching(`[ -~]{1,500}`).Draw(t, "error"))}
		}
		a := Answer{Verdict: validator.PassWith(anyBytes(100).Draw(t, "state"))}
		if rapid.Bool().Draw(t, "fail") {
			a.Verdict.Outcome = validator.Fail
			a.Verdict.Reason = rapid.SampledFrom(validator.Reasons()).Draw(t, "reason")
			a.Verdict.Detail = rapid.StringN(0, 100, validator.MaxDetailBytes).Draw(t, "detail")
		}
		if rapid.Bool().Draw(t, "fault") {
			a.Verdict.Fault = &validator.Fault{
				Kind:   validator.FaultKind(rapid.Uint8Range(1, uint8(len(validator.FaultKinds()))).Draw(t, "kind")),
				Delay:  time.Duration(rapid.Int64Min(0).Draw(t, "delay")),
				StepID: rapid.Int64().Draw(t, "step"),
				Code:   rapid.Int().Draw(t, "code"),
			}
		}
		if rapid.Bool().Draw(t, "known") {
			a.Expects, a.Known = rapid.Int64().Draw(t, "expects"), true
		}
		return a
	})
}

// overWire marshals and parses a message, as the process border does.
func overWire[M proto.Message](t interface{ Fatal(...any) }, in, out M) M {
	b, err := proto.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(b, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCallCrossesTheBorderUnchanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		session := validator.Session{
			Position: rapid.IntRange(0, math.MaxInt32).Draw(t, "position"),
			Steps:    rapid.IntRange(1, math.MaxInt32).Draw(t, "steps"),
		}
		states := rapid.SliceOfN(rapid.SliceOf(rapid.Byte()), 1, 4).Draw(t, "states")
		step := validator.Step{
			ID:      rapid.Int64().Draw(t, "step"),
			Timeout: anyWait().Draw(t, "timeout"), Interval: anyWait().Draw(t, "interval"), Gap: anyWait().Draw(t, "gap"),
			At:   time.Duration(rapid.Int64Min(0).Draw(t, "at")),
			Data: anyBytes(50).Draw(t, "data"),
		}
		call := EncodeCall(session, states, step)
		if size := proto.Size(call); size > CallBytes(call) {
			t.Fatalf("the call has %d bytes, above its bound %d", size, CallBytes(call))
		}
		gotSession, gotStates, gotStep := DecodeCall(overWire(t, call, &validatorv1.StepCall{}))
		if diff := cmp.Diff(session, gotSession); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(states, gotStates); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(step, gotStep); diff != "" {
			t.Error(diff)
		}
	})
}

// TestCallIsWhatIsDeclared: what is masked is not on the wire, and takes no byte of it.
func TestCallIsWhatIsDeclared(t *testing.T) {
	session := validator.Session{ID: "s", Position: 3, Steps: 10}
	step := validator.Step{
		ID: 7, Timeout: validator.Wait{Declared: true}, Interval: validator.Wait{Duration: 1, Declared: true}, At: 2,
		Gap: validator.Wait{Duration: 3, Declared: true}, Data: []byte("{}"),
	}
	var all int
	for in := validator.InputPosition; in < validator.AllInputs; in <<= 1 {
		size := proto.Size(EncodeCall(maskedBy(in, session, step)))
		if empty := proto.Size(EncodeCall(maskedBy(0, session, step))); size <= empty {
			t.Errorf("%v: %d bytes, %d without it", in, size, empty)
		}
		all += size - proto.Size(EncodeCall(maskedBy(0, session, step)))
	}
	if size := proto.Size(EncodeCall(session, nil, step)); size != all+proto.Size(EncodeCall(validator.Session{}, nil, validator.Step{})) {
		t.Errorf("%d bytes for everything, %d for one after the other", size, all)
	}
}

func maskedBy(in validator.Inputs, session validator.Session, step validator.Step) (validator.Session, [][]byte, validator.Step) {
	session, step = in.Mask(session, step)
	return session, nil, step
}

func TestReadsCrossTheBorderUnchanged(t *testing.T) {
	for in := range validator.AllInputs + 1 {
		got, declared := DecodeReads(overWire(t, EncodeReads(in), &validatorv1.Inputs{}))
		if got != in || !declared {
			t.Errorf("%v became %v, %t", in, got, declared)
		}
	}
	for name, m := range map[string]*validatorv1.Inputs{
		"none":        nil,
		"unspecified": {Inputs: []validatorv1.Input{validatorv1.Input_INPUT_UNSPECIFIED}},
		"of tomorrow": {Inputs: []validatorv1.Input{validatorv1.Input_INPUT_STEP_ID, 99}},
		"negative":    {Inputs: []validatorv1.Input{-1}},
	} {
		if got, declared := DecodeReads(m); declared || got != validator.AllInputs {
			t.Errorf("%s: %v, %t", name, got, declared)
		}
	}
}

func TestAnswerCrossesTheBorderUnchanged(t *testing.T) {
	sameText := cmp.Comparer(func(a, b error) bool {
		return (a == nil) == (b == nil) && (a == nil || a.Error() == b.Error())
	})
	rapid.Check(t, func(t *rapid.T) {
		answers := rapid.SliceOfN(anyAnswer(), 1, 3).Draw(t, "answers")
		sent := &validatorv1.StepVerdicts{Call: math.MaxUint64}
		for _, a := range answers {
			sent.Verdicts = append(sent.Verdicts, EncodeAnswer(a))
		}
		if size := proto.Size(sent); size > answerBytes(sent) {
			t.Fatalf("the answer has %d bytes, above its bound %d", size, answerBytes(sent))
		}
		for i, v := range overWire(t, sent, &validatorv1.StepVerdicts{}).Verdicts {
			if diff := cmp.Diff(answers[i], DecodeAnswer(v), sameText); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestDecodeAnswerRefuses(t *testing.T) {
	for name, v := range map[string]*validatorv1.Verdict{
		"nothing":           {},
		"no verdict":        nil,
		"outcome 3":         {Outcome: 3},
		"outcome -1":        {Outcome: -1},
		"outcome 257":       {Outcome: 257},
		"unknown reason":    {Outcome: validatorv1.Outcome_OUTCOME_FAIL, Reason: "because"},
		"reason of a pass":  {Outcome: validatorv1.Outcome_OUTCOME_PASS, Reason: "out_of_order"},
		"huge state":        {Outcome: validatorv1.Outcome_OUTCOME_PASS, State: make([]byte, validator.MaxStateBytes+1)},
		"huge detail":       {Outcome: validatorv1.Outcome_OUTCOME_PASS, Detail: strings.Repeat("a", validator.MaxDetailBytes+1)},
		"fault of no kind":  {Outcome: validatorv1.Outcome_OUTCOME_PASS, Fault: &validatorv1.Fault{}},
		"fault of kind 257": {Outcome: validatorv1.Outcome_OUTCOME_PASS, Fault: &validatorv1.Fault{Kind: 257}},
	} {
		t.Run(name, func(t *testing.T) {
			a := DecodeAnswer(v)
			if a.Err == nil || !strings.HasPrefix(a.Err.Error(), "malformed verdict: ") {
				t.Errorf("error = %v, want a malformed verdict", a.Err)
			}
			if diff := cmp.Diff(validator.Verdict{}, a.Verdict); diff != "" {
				t.Errorf("a malformed verdict left something behind: %s", diff)
			}
		})
	}
}

func TestErrorTextFitsTheWire(t *testing.T) {
	for _, text := range []string{"", "plain", "\xff\xfe", strings.Repeat("ä", MaxErrorBytes), strings.Repeat("x", 1<<16)} {
		got := EncodeAnswer(Answer{Err: errors.New(text)}).GetError()
		if got == "" || len(got) > MaxErrorBytes || !utf8.ValidString(got) {
			t.Errorf("text of %d bytes became %d bytes: %.40q", len(text), len(got), got)
		}
	}
}

// Whatever bytes a plugin sends, the agent gets a sound verdict or an error.
func FuzzDecodeAnswer(f *testing.F) {
	for _, a := range []Answer{
		{Verdict: validator.PassWith([]byte("state")), Expects: 3, Known: true},
		{Verdict: validator.FailWith(validator.OutOfOrder, "got 3, want 2", nil)},
		{Err: errors.New("no")},
	} {
		b, err := proto.Marshal(EncodeAnswer(a))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v validatorv1.Verdict
		if proto.Unmarshal(b, &v) != nil {
			return
		}
		a := DecodeAnswer(&v)
		if a.Err != nil {
			if len(a.Err.Error()) > 2*MaxErrorBytes {
				t.Errorf("error of %d bytes", len(a.Err.Error()))
			}
			return
		}
		if err := a.Verdict.Check(); err != nil {
			t.Errorf("accepted, but %v", err)
		}
	})
}
