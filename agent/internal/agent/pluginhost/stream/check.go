package stream

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
)

// batchTimeout is how long a plugin may take for the steps of CheckBatch.
const batchTimeout = 5 * time.Second

// CheckHealth checks the health service, which the agent pings.
func (c *Conn) CheckHealth(ctx context.Context) error {
	r, err := c.checkHealth(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("grpc.health.v1.Health/Check for the service %q: %s; serve the standard health service",
			healthService, logging.Clean(status.Convert(err).Message()))
	case r.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING:
		return fmt.Errorf("the health of the service %q is %v; it must be SERVING", healthService, r.GetStatus())
	}
	return nil
}

// unknownField is field 1000, which no version of the contract has: an older plugin must ignore what
// a newer agent sends.
var unknownField = []byte{0xc2, 0x3e, 1, 'x'}

// CheckBatch sends a message of three steps to one validator, and checks that each is answered once.
func (c *Conn) CheckBatch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	stream, err := c.client.Judge(ctx)
	if err != nil {
		return callError("Judge", err)
	}
	request := &validatorv1.JudgeRequest{}
	open := map[uint64]bool{}
	for _, number := range []uint64{7, 1 << 40, 8} {
		open[number] = true
		call := &validatorv1.StepCall{Call: number, BudgetNs: int64(batchTimeout), States: [][]byte{nil},
			Session: &validatorv1.Session{Steps: 10}, Step: &validatorv1.Step{Id: 1}}
		for _, m := range []proto.Message{call, call.Session, call.Step} {
			m.ProtoReflect().SetUnknown(unknownField)
		}
		request.Calls = append(request.Calls, call)
	}
	if err := stream.Send(request); err != nil {
		return callError("Judge", err)
	}
	for len(open) > 0 {
		response, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("%w, with %d of 3 steps unanswered", callError("Judge", err), len(open))
		}
		for _, a := range response.GetAnswers() {
			if !open[a.GetCall()] {
				return fmt.Errorf("it answered call %d, which is not open", a.GetCall())
			}
			if n := len(a.GetVerdicts()); n != 1 {
				return fmt.Errorf("it gave %d verdicts for one validator", n)
			}
			delete(open, a.GetCall())
		}
	}
	return nil
}
