package stream

import (
	"testing"
	"time"

	"github.com/stepagent/stepagent/plugins/sdk"
	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
	"github.com/stepagent/stepagent/plugins/validator"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

// A queue of any sizes leaves in order, in messages within the limit.
func TestNextBatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, sdk.MaxBatchBytes/3), 0, 20).Draw(t, "sizes")
		sizes = append(sizes, make([]int, rapid.SampledFrom([]int{0, 3 * sdk.MaxBatchCalls}).Draw(t, "many"))...)
		late := rapid.IntRange(0, 3).Draw(t, "late")
		s := &Stream{slots: make(chan struct{}, maxInFlight), wake: make(chan struct{}, 1), state: state{sent: map[uint64]*call{}}}
		for i := range len(sizes) + late {
			c := &call{message: &validatorv1.StepCall{}, deadline: time.Now()}
			if i < len(sizes) {
				c.deadline = c.deadline.Add(time.Hour)
				c.message = sdk.EncodeCall(validator.Session{}, nil, validator.Step{ID: int64(i), Data: make([]byte, sizes[i])})
			}
			s.slots <- struct{}{}
			s.enqueue(c)
		}
		step := int64(0)
		for batch := s.nextBatch(); len(batch) > 0; batch = s.nextBatch() {
			if n := proto.Size(&validatorv1.JudgeRequest{Calls: batch}); len(batch) > sdk.MaxBatchCalls || n > sdk.MaxMessageBytes {
				t.Fatalf("%d steps in %d bytes", len(batch), n)
			}
			for _, c := range batch {
				if c.GetStep().GetId() != step || c.GetCall() != uint64(step)+1 || c.GetBudgetNs() < 1 {
					t.Fatalf("step %d as call %d with budget %d, want step %d", c.GetStep().GetId(), c.GetCall(), c.GetBudgetNs(), step)
				}
				step++
			}
		}
		if step != int64(len(sizes)) || len(s.queue) != 0 || len(s.sent) != len(sizes) || len(s.slots) != len(sizes) {
			t.Fatalf("%d of %d steps sent, %d in the queue, %d open, %d slots", step, len(sizes), len(s.queue), len(s.sent), len(s.slots))
		}
	})
}
