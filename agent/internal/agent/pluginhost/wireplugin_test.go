package pluginhost

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/stepagent/stepagent/plugins/sdk"
	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
	"github.com/stepagent/stepagent/plugins/validator"
)

// million is more parts than a message may have; each takes two bytes.
const million = 1 << 20

// A wireFault is how a wirePlugin breaks the contract, which it speaks without the sdk.
type wireFault string

func serveWirePlugin(f wireFault) {
	p := newWirePlugin(f)
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  sdk.Handshake(),
		VersionedPlugins: map[int]goplugin.PluginSet{1: {"validator": p}},
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(options, grpc.Creds(tapped{insecure.NewCredentials(), p.conns}))...)
		},
	})
}

// tapped are no credentials, and a look at the first connection.
type tapped struct {
	credentials.TransportCredentials
	conns chan net.Conn
}

func (c tapped) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	select {
	case c.conns <- conn:
	default:
	}
	return c.TransportCredentials.ServerHandshake(conn)
}

// floodPings sends HTTP/2 frames until the connection fails.
func floodPings(conn net.Conn) {
	ping := []byte{0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}
	// An extension frame, RFC 9113, section 5.5, has many bytes for little work, so that the flood is
	// found soon on a slow machine too.
	extension := append([]byte{0, 16, 0, 0xfe, 0, 0, 0, 0, 0}, make([]byte, 4096)...)
	for {
		if _, err := conn.Write(bytes.Repeat(append(ping, extension...), 10)); err != nil {
			return
		}
	}
}

type wirePlugin struct {
	goplugin.NetRPCUnsupportedPlugin
	validatorv1.UnimplementedValidatorServiceServer
	fault wireFault
	conns chan net.Conn // holds the gRPC connection
}

func newWirePlugin(f wireFault) *wirePlugin {
	return &wirePlugin{fault: f, conns: make(chan net.Conn, 1)}
}

func (p *wirePlugin) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	if p.fault != "no-service" {
		validatorv1.RegisterValidatorServiceServer(s, p)
	}
	return nil
}

func (p *wirePlugin) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

func (p *wirePlugin) Describe(context.Context, *validatorv1.DescribeRequest) (*validatorv1.DescribeResponse, error) {
	if p.fault == "has-a-million" {
		return &validatorv1.DescribeResponse{Validators: make([]*validatorv1.ValidatorInfo, million)}, nil
	}
	if p.fault == "talks-too-much" {
		much := strings.Repeat("much ", 1000)
		about := &validatorv1.DescribeResponse{Name: much, Version: much}
		for n := range 500 {
			about.Validators = append(about.Validators, &validatorv1.ValidatorInfo{Name: fmt.Sprint(n, much)})
		}
		return about, nil
	}
	return &validatorv1.DescribeResponse{Name: "rogue\x1b", Version: "0",
		Validators: []*validatorv1.ValidatorInfo{{Name: "v"}}}, nil
}

func (p *wirePlugin) Configure(_ context.Context, r *validatorv1.ConfigureRequest) (*validatorv1.ConfigureResponse, error) {
	switch p.fault {
	case "hangs-in-configure":
		<-make(chan struct{})
	case "a-million-results":
		return &validatorv1.ConfigureResponse{Results: make([]*validatorv1.InstanceResult, million)}, nil
	case "too-few-results":
		return &validatorv1.ConfigureResponse{}, nil
	case "exits-in-configure":
		os.Exit(4)
	}
	results := make([]*validatorv1.InstanceResult, len(r.GetInstances()))
	for i, in := range r.GetInstances() {
		results[i] = p.declare(in)
	}
	return &validatorv1.ConfigureResponse{Results: results}, nil
}

// declare says what a validator reads, for the fault that records what it is sent.
func (p *wirePlugin) declare(in *validatorv1.Instance) *validatorv1.InstanceResult {
	if p.fault != "records" {
		return &validatorv1.InstanceResult{}
	}
	reads, declares, err := decodeReads(in.GetSettingsJson())
	if err != nil {
		return &validatorv1.InstanceResult{Problems: []*validatorv1.Problem{{Problem: err.Error()}}}
	}
	if !declares {
		return &validatorv1.InstanceResult{}
	}
	return &validatorv1.InstanceResult{Reads: sdk.EncodeReads(reads)}
}

func (p *wirePlugin) Judge(stream validatorv1.ValidatorService_JudgeServer) error {
	if p.fault == "prints-over-grpc" {
		for range 1000 { // more than any pipe holds
			fmt.Println(strings.Repeat("x", 1000))
		}
	}
	for {
		r, err := stream.Recv()
		if err != nil {
			return err
		}
		probed := false
		for _, call := range r.GetCalls() {
			probed = isProbeCall(call)
			if p.fault == "ends-with-a-novel" && !probed {
				return status.Error(codes.Unavailable, strings.Repeat("once \x1b[31m upon ", 10_000))
			}
			for p.fault == "answers-nothing" && !probed {
				if err := stream.Send(&validatorv1.JudgeResponse{}); err != nil {
					return err
				}
			}
			for _, answer := range p.answers(call) {
				if err := stream.Send(&validatorv1.JudgeResponse{Answers: []*validatorv1.StepVerdicts{answer}}); err != nil {
					return err
				}
			}
		}
		if p.fault == "ends-the-stream" && !probed {
			return nil
		}
	}
}

// isProbeCall is isProbe for a step on its way.
func isProbeCall(call *validatorv1.StepCall) bool {
	_, _, step := sdk.DecodeCall(call)
	return isProbe(step)
}

func (p *wirePlugin) answers(call *validatorv1.StepCall) []*validatorv1.StepVerdicts {
	pass := &validatorv1.Verdict{Outcome: validatorv1.Outcome_OUTCOME_PASS}
	verdicts := make([]*validatorv1.Verdict, len(call.GetStates()))
	for i := range verdicts {
		verdicts[i] = pass
	}
	answer := &validatorv1.StepVerdicts{Call: call.GetCall(), Verdicts: verdicts}
	if isProbeCall(call) {
		if p.fault == "fails-the-self-test" {
			pass.Outcome = 7
		}
		return []*validatorv1.StepVerdicts{answer}
	}
	switch p.fault {
	case "too-many-verdicts":
		answer.Verdicts = append(answer.Verdicts, pass)
	case "floods-frames":
		go floodPings(<-p.conns)
	case "no-verdicts":
		answer.Verdicts = nil
	case "a-million-verdicts":
		answer.Verdicts = make([]*validatorv1.Verdict, million)
	case "unknown-call":
		answer.Call += 1000
	case "answers-twice":
		return []*validatorv1.StepVerdicts{answer, answer}
	case "huge-answer":
		pass.State = make([]byte, sdk.MaxMessageBytes+1)
	case "outcome-7":
		pass.Outcome = 7
	case "huge-state":
		pass.State = make([]byte, validator.MaxStateBytes+1)
	case "records":
		pass.Detail = recorded(call)
	case "late":
		time.Sleep(time.Until(time.Now().Add(time.Duration(call.GetBudgetNs()) + 50*time.Millisecond)))
	}
	return []*validatorv1.StepVerdicts{answer}
}
