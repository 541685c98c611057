package conformance_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/emptypb"

	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
)

// A raw plugin speaks the contract without the sdk, as one in another language does, and gets
// something wrong: its kind, or several things that its kind lists.
type raw struct {
	validatorv1.UnimplementedValidatorServiceServer
	kind string
}

func (r raw) has(fault string) bool {
	list, _ := strings.CutPrefix(r.kind, "raw ")
	return slices.Contains(strings.Split(list, ", "), fault)
}

func (r raw) Describe(context.Context, *validatorv1.DescribeRequest) (*validatorv1.DescribeResponse, error) {
	d := &validatorv1.DescribeResponse{Name: "raw", Version: "1"}
	if r.kind != "raw nothing" {
		d.Validators = []*validatorv1.ValidatorInfo{{Name: "a", Version: "1"}}
	}
	return d, nil
}

func (r raw) Configure(_ context.Context, in *validatorv1.ConfigureRequest) (*validatorv1.ConfigureResponse, error) {
	response := &validatorv1.ConfigureResponse{}
	for range in.GetInstances() {
		reads, err := r.reads()
		if err != nil {
			return nil, err
		}
		response.Results = append(response.Results, &validatorv1.InstanceResult{Reads: reads})
	}
	return response, nil
}

// reads is what the plugin declares. By turns, each process says something else than the last: a
// file, which is named in the kind, grows by a byte each time.
func (r raw) reads() (*validatorv1.Inputs, error) {
	name, byTurns := strings.CutPrefix(r.kind, "raw by turns ")
	switch {
	case r.kind == "raw declares", r.kind == "raw reads more":
		return &validatorv1.Inputs{Inputs: []validatorv1.Input{validatorv1.Input_INPUT_DATA, validatorv1.Input_INPUT_STEP_ID}}, nil
	case r.kind == "raw unknown input":
		return &validatorv1.Inputs{Inputs: []validatorv1.Input{validatorv1.Input_INPUT_DATA, 99}}, nil
	case !byTurns:
		return nil, nil
	}
	before, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	declared := []validatorv1.Input{validatorv1.Input_INPUT_POSITION, validatorv1.Input_INPUT_STEPS}[len(before)%2]
	return &validatorv1.Inputs{Inputs: []validatorv1.Input{declared}}, os.WriteFile(name, append(before, '.'), 0o600)
}

func (r raw) Judge(stream validatorv1.ValidatorService_JudgeServer) error {
	for {
		in, err := stream.Recv()
		if err != nil {
			return nil
		}
		out := &validatorv1.JudgeResponse{}
		for _, call := range in.GetCalls() {
			answer := &validatorv1.StepVerdicts{Call: call.GetCall(),
				Verdicts: []*validatorv1.Verdict{{Outcome: validatorv1.Outcome_OUTCOME_PASS}}}
			switch {
			case r.kind == "raw reads more":
				answer.Verdicts[0].State = fmt.Append(nil, call.GetStep().GetTimeoutNs())
			case r.has("none"):
				answer.Verdicts = nil
			case r.has("twice"):
				out.Answers = append(out.Answers, answer)
			}
			out.Answers = append(out.Answers, answer)
			if r.has("first alone") {
				break
			}
		}
		if err := stream.Send(out); err != nil || r.has("first alone") {
			return err
		}
	}
}

func serveRaw(kind string) {
	path := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "raw.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	server, r := grpc.NewServer(), raw{kind: kind}
	validatorv1.RegisterValidatorServiceServer(server, r)
	if !r.has("no health") {
		h := health.NewServer()
		if !r.has("not serving") {
			h.SetServingStatus("plugin", grpc_health_v1.HealthCheckResponse_SERVING)
		} else {
			h.SetServingStatus("plugin", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
		}
		grpc_health_v1.RegisterHealthServer(server, h)
	}
	if !r.has("no shutdown") {
		server.RegisterService(&grpc.ServiceDesc{ServiceName: "plugin.GRPCController", HandlerType: (*any)(nil),
			Methods: []grpc.MethodDesc{{MethodName: "Shutdown", Handler: func(_ any, _ context.Context, in func(any) error,
				_ grpc.UnaryServerInterceptor) (any, error) {
				switch {
				case r.has("stays"):
				case r.has("fails"):
					os.Exit(5)
				default:
					go server.GracefulStop()
				}
				return &emptypb.Empty{}, in(&emptypb.Empty{})
			}}}}, nil)
	}
	fmt.Printf("1|1|unix|%s|grpc\n", path)
	if err := server.Serve(listener); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
