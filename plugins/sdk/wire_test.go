package sdk

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
	"github.com/stepagent/stepagent/plugins/validator"
)

// sameError compares what errors say.
var sameError = cmp.Comparer(func(a, b error) bool {
	return (a == nil) == (b == nil) && (a == nil || a.Error() == b.Error())
})

func anyCall() *rapid.Generator[Call] {
	return rapid.Custom(func(t *rapid.T) Call {
		return Call{
			Number: rapid.Uint64().Draw(t, "number"), Budget: time.Duration(rapid.Int64Min(0).Draw(t, "budget")),
			Session: validator.Session{
				ID:       rapid.String().Draw(t, "id"),
				Position: rapid.IntRange(0, math.MaxInt32).Draw(t, "position"),
				Steps:    rapid.IntRange(0, math.MaxInt32).Draw(t, "steps"),
			},
			States: rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 0, 4).Draw(t, "states"),
			Step: validator.Step{
				ID:      rapid.Int64().Draw(t, "step"),
				Timeout: anyWait().Draw(t, "timeout"), Interval: anyWait().Draw(t, "interval"), Gap: anyWait().Draw(t, "gap"),
				At:   time.Duration(rapid.Int64Min(0).Draw(t, "at")),
				Data: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data"),
			},
		}
	})
}

// byGenerated is the call as the generated code has it.
func byGenerated(c *Call) *validatorv1.StepCall {
	m := EncodeCall(c.Session, c.States, c.Step)
	m.Call, m.BudgetNs = c.Number, int64(c.Budget)
	return m
}

// What is written by hand is what the generated code writes and reads, and the other way round.
func TestCallsOnTheDataPath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.SliceOfN(anyCall(), 0, 5).Draw(t, "calls")
		var written []byte
		generated := &validatorv1.JudgeRequest{}
		for i := range sent {
			written = AppendCall(written, &sent[i])
			generated.Calls = append(generated.Calls, byGenerated(&sent[i]))
		}
		if read := new(validatorv1.JudgeRequest); proto.Unmarshal(written, read) != nil || !proto.Equal(read, generated) {
			t.Errorf("the generated code reads %v of %v", read, generated)
		}
		marshalled, err := proto.Marshal(generated)
		if err != nil {
			t.Fatal(err)
		}
		for name, request := range map[string][]byte{"hand": written, "generated": marshalled} {
			calls, err := SplitCalls(request, nil)
			if err != nil || len(calls) != len(sent) {
				t.Fatalf("%d calls of %d, %v", len(calls), len(sent), err)
			}
			var got Call
			for i, message := range calls {
				if err := got.Read(message); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(sent[i], got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("written by %s: %s", name, diff)
				}
				if (got.Step.Data == nil) != (sent[i].Step.Data == nil) {
					t.Errorf("written by %s: data is %#v, want %#v", name, got.Step.Data, sent[i].Step.Data)
				}
			}
		}
	})
}

func TestAnswersOnTheDataPath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.SliceOfN(rapid.SliceOfN(anyAnswer(), 0, 3), 0, 5).Draw(t, "answers")
		var written []byte
		generated := &validatorv1.JudgeResponse{}
		for i, answers := range sent {
			written = AppendAnswer(written, uint64(i), answers)
			m := &validatorv1.StepVerdicts{Call: uint64(i)}
			for _, a := range answers {
				m.Verdicts = append(m.Verdicts, EncodeAnswer(a))
			}
			generated.Answers = append(generated.Answers, m)
		}
		if read := new(validatorv1.JudgeResponse); proto.Unmarshal(written, read) != nil || !proto.Equal(read, generated) {
			t.Errorf("the generated code reads %v of %v", read, generated)
		}
		next := 0
		err := ReadAnswers(written, nil, func(call uint64, answers []Answer) error {
			if call != uint64(next) {
				t.Errorf("call %d, want %d", call, next)
			}
			if diff := cmp.Diff(sent[next], answers, sameError, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			next++
			return nil
		})
		if err != nil || next != len(sent) {
			t.Errorf("%d of %d answers, %v", next, len(sent), err)
		}
	})
}

// A session's ID outlives the message that it came in, and the calls read after it.
func TestNamesStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.SliceOfN(rapid.StringN(0, 300, 300), 0, 40).Draw(t, "ids")
		var (
			got     []string
			c       Call
			all     names
			message []byte
		)
		for _, id := range sent {
			message = AppendCall(message[:0], &Call{Session: validator.Session{ID: id}})
			calls, err := SplitCalls(message, nil)
			if err != nil || c.read(calls[0], &all) != nil {
				t.Fatal(err)
			}
			got = append(got, c.Session.ID)
			clear(message)
		}
		if diff := cmp.Diff(sent, got, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTooManyInOneMessage(t *testing.T) {
	request, response, verdicts := []byte(nil), []byte(nil), make([]Answer, MaxInstances+1)
	for range MaxBatchCalls + 1 {
		request, response = AppendCall(request, &Call{}), AppendAnswer(response, 1, nil)
	}
	if _, err := SplitCalls(request, nil); err == nil {
		t.Error("too many calls are read")
	}
	take := func(uint64, []Answer) error { return nil }
	if ReadAnswers(AppendAnswer(nil, 1, verdicts), nil, take) == nil {
		t.Error("too many verdicts are read")
	}
	stop := errors.New("enough")
	if err := ReadAnswers(response, nil, func(uint64, []Answer) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

func TestFrames(t *testing.T) {
	frame := append(make([]byte, FrameHeaderBytes), strings.Repeat("x", 9000)...)
	SealFrame(frame)
	empty := make([]byte, FrameHeaderBytes)
	SealFrame(empty)
	in := bytes.NewReader(bytes.Join([][]byte{frame, empty, frame}, nil))
	var buffer []byte
	for _, want := range []int{9000, 0, 9000} {
		message, err := ReadFrame(in, buffer)
		if err != nil || len(message) != want {
			t.Fatalf("%d bytes, %v, want %d", len(message), err, want)
		}
		buffer = message
	}
	if _, err := ReadFrame(in, buffer); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	for n := 1; n < len(frame); n += 1000 {
		if _, err := ReadFrame(bytes.NewReader(frame[:n]), nil); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
	if _, err := ReadFrame(strings.NewReader("\x7f\xff\xff\xff"), nil); err == nil || err.Error() != "a message of 2147483647 bytes, at most 4194304 are allowed" {
		t.Errorf("a huge frame: %v", err)
	}
}

// Whatever an agent sends, the code written by hand reads what the generated code reads.
func FuzzReadCalls(f *testing.F) {
	f.Add(AppendCall(nil, &Call{Number: 7, Budget: 1, States: [][]byte{nil, []byte("state")},
		Session: validator.Session{ID: "s", Position: 3, Steps: 10},
		Step:    validator.Step{ID: -1, Timeout: validator.Wait{Declared: true}, Data: []byte("{}")}}))
	f.Fuzz(func(t *testing.T, request []byte) {
		want := new(validatorv1.JudgeRequest)
		wantErr := proto.Unmarshal(request, want)
		calls, err := SplitCalls(request, nil)
		var got []Call
		for _, message := range calls {
			var c Call
			if err == nil {
				err = c.Read(message)
			}
			got = append(got, c)
		}
		if len(want.GetCalls()) > MaxBatchCalls {
			return
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("read: %v, by the generated code: %v", err, wantErr)
		}
		for i, m := range want.GetCalls() {
			if err != nil {
				break
			}
			c := Call{Number: m.GetCall(), Budget: time.Duration(m.GetBudgetNs())}
			c.Session, c.States, c.Step = DecodeCall(m)
			if diff := cmp.Diff(c, got[i], cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// Whatever a plugin sends, likewise.
func FuzzReadAnswers(f *testing.F) {
	f.Add(AppendAnswer(nil, 3, []Answer{
		{Verdict: validator.PassWith([]byte("state")), Expects: 3, Known: true},
		{Verdict: validator.FailWith(validator.OutOfOrder, "got 3, want 2", nil)},
		{Verdict: validator.Verdict{Outcome: validator.Pass, Fault: &validator.Fault{Kind: validator.FaultLate, Delay: 1, StepID: -1, Code: 7}}},
		{Err: errors.New("no")},
	}))
	f.Fuzz(func(t *testing.T, response []byte) {
		want := new(validatorv1.JudgeResponse)
		wantErr := proto.Unmarshal(response, want)
		for _, a := range want.GetAnswers() {
			if len(a.GetVerdicts()) > MaxInstances {
				return
			}
		}
		next := 0
		err := ReadAnswers(response, nil, func(call uint64, answers []Answer) error {
			if wantErr != nil {
				return nil
			}
			m := want.GetAnswers()[next]
			next++
			all := make([]Answer, len(m.GetVerdicts()))
			for i, v := range m.GetVerdicts() {
				all[i] = DecodeAnswer(v)
			}
			if diff := cmp.Diff(all, answers, sameError, cmpopts.EquateEmpty()); diff != "" || call != m.GetCall() {
				t.Errorf("call %d, want %d: %s", call, m.GetCall(), diff)
			}
			return nil
		})
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("read: %v, by the generated code: %v", err, wantErr)
		}
	})
}
