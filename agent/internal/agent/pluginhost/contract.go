package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/sdk"
	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
	"github.com/stepagent/stepagent/plugins/validator"
)

// What a plugin serves beside the contract; see the head of validator.proto.
const (
	shutdownMethod = "/plugin.GRPCController/Shutdown"
	stdioMethod    = "/plugin.GRPCStdio/StreamStdio"
)

// Limits of what a plugin says of itself: a message of 4 MiB would hold a lot.
const (
	maxNameBytes    = 100 // of a plugin, a validator or a version
	maxToldNames    = 50  // validators that are told where one is missing
	maxToldProblems = 100 // of one validator's settings
)

// dial makes the connection to the plugin's socket.
func (in *instance) dial(socket string) (err error) {
	in.meter = newMeter()
	in.conn, err = grpc.NewClient("passthrough:plugin",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
			if err != nil {
				return nil, err
			}
			return in.meter.conn(conn), nil
		}),
		grpc.WithAuthority("localhost"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(newCodec(in.meter)),
			grpc.MaxCallRecvMsgSize(sdk.MaxMessageBytes), grpc.MaxCallSendMsgSize(sdk.MaxMessageBytes)),
		grpc.WithStaticStreamWindowSize(windowBytes), grpc.WithStaticConnWindowSize(windowBytes),
		grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(), grpc.WithDisableHealthCheck(),
		grpc.WithIdleTimeout(0),
	)
	return err
}

// describe asks the plugin what it is and gives each validator its settings.
func (l *launching) describe(ctx context.Context) error {
	client := validatorv1.NewValidatorServiceClient(l.conn)
	about, err := client.Describe(ctx, &validatorv1.DescribeRequest{})
	if err != nil {
		return serviceError("Describe", err)
	}
	l.name, l.version = brief(about.GetName(), maxNameBytes), brief(about.GetVersion(), maxNameBytes)
	request := &validatorv1.ConfigureRequest{}
	var wrong []error
	for _, m := range l.members {
		if !has(about, m.Validator) {
			wrong = append(wrong, m.wrong("validator", "plugin %s has no validator %q; it has %s",
				l.name, m.Validator, names(about)))
		}
		request.Instances = append(request.Instances, &validatorv1.Instance{
			Name: m.Name, Validator: m.Validator, SettingsJson: m.Settings})
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	response, err := client.Configure(ctx, request)
	if err != nil {
		return serviceError("Configure", err)
	}
	if n := len(response.GetResults()); n != len(l.members) {
		return fmt.Errorf("the plugin answered Configure with %d results for %d validators", n, len(l.members))
	}
	l.reads, l.declared = 0, true
	for i, r := range response.GetResults() {
		for _, p := range r.GetProblems()[:min(len(r.GetProblems()), maxToldProblems)] {
			wrong = append(wrong, l.members[i].wrong(settingsKey(p.GetKey()), "%s", brief(p.GetProblem(), sdk.MaxErrorBytes)))
		}
		l.first = append(l.first, judge.Expectation{StepID: r.GetFirst(), Known: r.First != nil})
		reads, declared := sdk.DecodeReads(r.GetReads())
		l.reads, l.declared = l.reads|reads, l.declared && declared
	}
	return errors.Join(wrong...)
}

func has(about *validatorv1.DescribeResponse, validator string) bool {
	for _, v := range about.GetValidators() {
		if v.GetName() == validator {
			return true
		}
	}
	return false
}

func names(about *validatorv1.DescribeResponse) string {
	var all []string
	for _, v := range about.GetValidators() {
		if len(all) == maxToldNames {
			all = append(all, "...")
			break
		}
		all = append(all, brief(v.GetName(), maxNameBytes))
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

func settingsKey(below string) string {
	if below == "" {
		return "settings"
	}
	return "settings." + brief(below, sdk.MaxErrorBytes)
}

// serviceError says what a call of the contract came to, without gRPC's own words around it.
func serviceError(method string, err error) error {
	s := status.Convert(err)
	if s.Code() == codes.Unimplemented {
		return fmt.Errorf("it does not serve %s of stepagent.validator.v1.ValidatorService", method)
	}
	return fmt.Errorf("%s: %s", method, brief(s.Message(), sdk.MaxErrorBytes))
}

// brief returns a text of the plugin's as it may stand in logs and errors.
func brief(text string, most int) string {
	if len(text) <= most {
		return printable([]byte(text))
	}
	return printable([]byte(text[:most])) + "..."
}

// open opens the way for steps.
func (l *launching) open(ctx context.Context, o Options) error {
	sent := l.reads
	if l.members[0].SendAll {
		sent = validator.AllInputs
	}
	link, err := newLink(ctx, l.conn, len(l.members), sent, o)
	if err != nil {
		return err
	}
	l.link = link
	link.running.Go(func() {
		select {
		case <-l.meter.flooded:
			link.lose(errFlooded)
		case <-link.lost:
		}
	})
	return nil
}

// ping asks the process whether it is well. An answer of any kind will do: what matters is
// that the process runs.
func ping(ctx context.Context, conn *grpc.ClientConn) error {
	_, err := grpc_health_v1.NewHealthClient(conn).Check(ctx,
		&grpc_health_v1.HealthCheckRequest{Service: goplugin.GRPCServiceName})
	switch status.Code(err) {
	case codes.DeadlineExceeded, codes.Unavailable, codes.Canceled:
		return err
	default:
		return nil
	}
}

// discardOutput reads what a plugin without the sdk sends of its stdout and stderr over
// gRPC, as go-plugin has it. Unread it would block the plugin. The messages are not looked
// at: what people should see goes to the process's own stderr.
func discardOutput(ctx context.Context, conn *grpc.ClientConn) {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, stdioMethod)
	if err != nil {
		return
	}
	if stream.SendMsg(&emptypb.Empty{}) != nil || stream.CloseSend() != nil {
		return
	}
	discard(ctx, func() (size int, err error) {
		message := new(emptypb.Empty)
		err = stream.RecvMsg(message)
		return len(message.ProtoReflect().GetUnknown()), err
	})
}

// messageCost is how many bytes are as much work as a message by itself.
const messageCost = 1 << 10

// discard receives messages until there is an error or the context ends. Of a flood it takes
// as much as of one through a pipe.
func discard(ctx context.Context, receive func() (size int, err error)) {
	for taken := 0; ; {
		size, err := receive()
		if err != nil {
			return
		}
		if taken += size + messageCost; taken < pipeBytes {
			continue
		}
		select {
		case <-time.After(floodPause * time.Duration(taken) / pipeBytes):
		case <-ctx.Done():
			return
		}
		taken = 0
	}
}
