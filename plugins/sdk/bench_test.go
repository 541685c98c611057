package sdk

import (
	"context"
	"testing"
	"time"

	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
	"github.com/stepagent/stepagent/plugins/validator"
)

// benchSteps are in one batch, about as many as 256 clients bring together.
const benchSteps = 32

// BenchmarkStream is what a batch costs there and back within one process: gRPC and the SDK, with a
// validator that takes no time.
func BenchmarkStream(b *testing.B) {
	client := dial(b, plugin(Validator{Name: "a", New: made(validateFunc(
		func(context.Context, validator.Session, validator.Step) (validator.Verdict, error) {
			return validator.PassWith(nil), nil
		}))}))
	configure(b, client, "a")
	stream, err := client.Judge(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	batch := &validatorv1.JudgeRequest{}
	for id := range int64(benchSteps) {
		call := EncodeCall(validator.Session{Position: 3, Steps: 10}, [][]byte{nil}, validator.Step{ID: id})
		call.BudgetNs = int64(time.Minute)
		batch.Calls = append(batch.Calls, call)
	}
	b.ReportAllocs()
	for number := uint64(0); b.Loop(); {
		for _, call := range batch.GetCalls() {
			number++
			call.Call = number
		}
		if err := stream.Send(batch); err != nil {
			b.Fatal(err)
		}
		for answered := 0; answered < benchSteps; {
			response, err := stream.Recv()
			if err != nil {
				b.Fatal(err)
			}
			answered += len(response.GetAnswers())
		}
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/benchSteps, "ns/step")
}
