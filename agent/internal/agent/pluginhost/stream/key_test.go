package stream

import (
	"bytes"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/validator"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

// TestKeyIsWhatIsSent: the key of a step is the message that would be sent for it.
func TestKeyIsWhatIsSent(t *testing.T) {
	t.Parallel()
	wait := rapid.Custom(func(t *rapid.T) validator.Wait {
		return validator.Wait{
			Duration: time.Duration(rapid.Int64Min(0).Draw(t, "duration")),
			Declared: rapid.Bool().Draw(t, "declared"),
		}
	})
	data := rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 0, 300),
		rapid.SliceOfN(rapid.Byte(), 16000, 17000)) // lengths of one, two and three bytes
	rapid.Check(t, func(t *rapid.T) {
		reads := validator.Inputs(rapid.Int().Draw(t, "reads")) & validator.AllInputs &^ (validator.InputAt | validator.InputGap)
		call := judge.Call{
			Session: validator.Session{Position: rapid.Int().Draw(t, "position"), Steps: rapid.Int().Draw(t, "steps")},
			States:  rapid.SliceOfN(data, 0, 4).Draw(t, "states"),
			Step: validator.Step{
				ID:      rapid.Int64().Draw(t, "id"),
				Timeout: wait.Draw(t, "timeout"), Interval: wait.Draw(t, "interval"),
				At: time.Duration(rapid.Int64().Draw(t, "at")), Gap: wait.Draw(t, "gap"),
				Data: data.Draw(t, "data"),
			},
		}
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(encodeCall(reads, call))
		if err != nil {
			t.Fatal(err)
		}
		before := rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "before")
		got := Key(reads)(bytes.Clone(before), &call)
		if !bytes.Equal(got, append(before, want...)) {
			t.Errorf("got %x, want %x after %x", got, want, before)
		}
	})
}
