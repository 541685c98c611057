package conformance_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/stepagent/stepagent/agent/internal/agent/conformance"
	"github.com/stepagent/stepagent/plugins/sdk"
)

// releasedContract is the contract as it has been released, by the plugin that was built
// against it: it knows these messages and fields and no others.
const releasedContract = "../../../../plugins/sdk/proto/released.binpb"

// A released makes messages of the released contract.
type released struct {
	messages protoreflect.MessageDescriptors
}

func readReleased(image []byte) (released, error) {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(image, &set); err != nil {
		return released{}, err
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return released{}, err
	}
	file, err := files.FindFileByPath("stepagent/validator/v1/validator.proto")
	if err != nil {
		return released{}, err
	}
	return released{file.Messages()}, nil
}

func (r released) message(name string) *dynamicpb.Message {
	return dynamicpb.NewMessage(r.messages.ByName(protoreflect.Name(name)))
}

func field(m *dynamicpb.Message, name string) protoreflect.FieldDescriptor {
	return m.Descriptor().Fields().ByName(protoreflect.Name(name))
}

func set(m *dynamicpb.Message, name string, value any) *dynamicpb.Message {
	m.Set(field(m, name), protoreflect.ValueOf(value))
	return m
}

func add(m *dynamicpb.Message, name string, element *dynamicpb.Message) {
	m.Mutable(field(m, name)).List().Append(protoreflect.ValueOfMessage(element))
}

// unary returns a method of one message in and one out.
func (r released) unary(name, in string, answer func(*dynamicpb.Message) *dynamicpb.Message) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		request := r.message(in)
		if err := decode(request); err != nil {
			return nil, err
		}
		return answer(request), nil
	}}
}

// judge passes every step and keeps, as state, how many there were.
func (r released) judge(_ any, stream grpc.ServerStream) error {
	for {
		request, response := r.message("JudgeRequest"), r.message("JudgeResponse")
		if err := stream.RecvMsg(request); err != nil {
			return nil // the agent has no more
		}
		calls := request.Get(field(request, "calls")).List()
		for i := range calls.Len() {
			call := calls.Get(i).Message()
			about := call.Descriptor().Fields()
			answer := set(r.message("StepVerdicts"), "call", call.Get(about.ByName("call")).Uint())
			states := call.Get(about.ByName("states")).List()
			for n := range states.Len() {
				state := append(bytes.Clone(states.Get(n).Bytes()), '.')
				verdict := set(r.message("Verdict"), "outcome", protoreflect.EnumNumber(1))
				add(answer, "verdicts", set(verdict, "state", state[max(0, len(state)-10):]))
			}
			add(response, "answers", answer)
		}
		if err := stream.SendMsg(response); err != nil {
			return err
		}
	}
}

// serveReleased is a plugin of the released contract; path is that of the image.
func serveReleased(path string) error {
	image, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	r, err := readReleased(image)
	if err != nil {
		return err
	}
	server, ended := grpc.NewServer(), make(chan struct{})
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "stepagent.validator.v1.ValidatorService", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			r.unary("Describe", "DescribeRequest", func(*dynamicpb.Message) *dynamicpb.Message {
				about := set(set(r.message("DescribeResponse"), "name", "released"), "version", "1.0.0")
				add(about, "validators", set(set(r.message("ValidatorInfo"), "name", "a"), "version", "1.0.0"))
				return about
			}),
			r.unary("Configure", "ConfigureRequest", func(request *dynamicpb.Message) *dynamicpb.Message {
				response := r.message("ConfigureResponse")
				for range request.Get(field(request, "instances")).List().Len() {
					add(response, "results", r.message("InstanceResult"))
				}
				return response
			}),
		},
		Streams: []grpc.StreamDesc{{StreamName: "Judge", Handler: r.judge, ServerStreams: true, ClientStreams: true}},
	}, nil)
	health := health.NewServer()
	health.SetServingStatus("plugin", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, health)
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "plugin.GRPCController", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Shutdown", Handler: func(_ any, _ context.Context, in func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			go func() {
				server.GracefulStop()
				close(ended)
			}()
			return &emptypb.Empty{}, in(&emptypb.Empty{})
		}}}}, nil)
	socket := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "released.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	fmt.Printf("1|1|unix|%s|grpc\n", socket)
	if err := server.Serve(listener); err != nil {
		return err
	}
	<-ended
	return nil
}

// TestPluginOfTheReleasedContract: a plugin built against the contract as it was released
// loads into this agent and keeps the law.
func TestPluginOfTheReleasedContract(t *testing.T) {
	t.Parallel()
	image, err := filepath.Abs(releasedContract)
	if err != nil {
		t.Fatal(err)
	}
	l, sound := check(t, "released "+image, conformance.Subject{})
	if !sound || !strings.Contains(l.String(), "ok: concurrency") {
		t.Errorf("sound %t:\n%s", sound, l)
	}
}

// TestAgentOfTomorrow: a plugin of today starts under an agent that offers further versions
// of the contract, and says which it took.
func TestAgentOfTomorrow(t *testing.T) {
	t.Parallel()
	for offered, want := range map[string]string{"1": "1|1|unix|", "1,2": "1|1|unix|", "3,2,1": "1|1|unix|"} {
		dir, err := os.MkdirTemp("", "cf")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		shake := sdk.Handshake()
		cmd := exec.Command(os.Args[0], "sound")
		cmd.Env = []string{shake.MagicCookieKey + "=" + shake.MagicCookieValue,
			"PLUGIN_PROTOCOL_VERSIONS=" + offered, "PLUGIN_UNIX_SOCKET_DIR=" + dir}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, len(want))
		_, err = io.ReadFull(out, line)
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if err != nil || string(line) != want {
			t.Errorf("offered %s: the handshake begins with %q, %v; want %q", offered, line, err, want)
		}
	}
}
