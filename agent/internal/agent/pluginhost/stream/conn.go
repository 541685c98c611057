// Package stream talks to one plugin process over gRPC. A Conn makes the calls of the contract:
// Describe, Configure, Shutdown and pings. A Stream carries steps to the process and verdicts back, in
// batches, and is lost when the process breaks the contract, floods the agent or hangs. The package
// starts no process and retries nothing.
package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/plugins/sdk"
	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
	"github.com/stepagent/stepagent/plugins/validator"
)

// What a plugin serves beside the contract; see the head of validator.proto.
const (
	healthService  = "plugin"
	shutdownMethod = "/plugin.GRPCController/Shutdown"
	stdioMethod    = "/plugin.GRPCStdio/StreamStdio"
)

const (
	// MaxNameBytes is where the name of a plugin or a validator, and a version, are cut.
	MaxNameBytes = 100
	// maxProblems is how many problems of one validator's settings are reported.
	maxProblems = 100
	// Discarded output is read in portions of discardBytes, each message counted as messageCost bytes
	// more, with a pause of discardPause after each: as fast as a flood through a pipe.
	discardBytes = 64 << 10
	discardPause = 10 * time.Millisecond
	messageCost  = 1 << 10
)

// A Conn is the connection to one plugin process. It is safe for concurrent use.
type Conn struct {
	grpc   *grpc.ClientConn
	client validatorv1.ValidatorServiceClient
	meter  *meter // of what the plugin sends
}

// Dial returns the connection to a plugin's socket. It is made with the first call.
func Dial(socket string) (*Conn, error) {
	m := newMeter()
	conn, err := grpc.NewClient("passthrough:plugin",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
			if err != nil {
				return nil, err
			}
			return m.conn(conn), nil
		}),
		grpc.WithAuthority("localhost"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(newCodec(m)),
			grpc.MaxCallRecvMsgSize(sdk.MaxMessageBytes), grpc.MaxCallSendMsgSize(sdk.MaxMessageBytes)),
		grpc.WithStaticStreamWindowSize(windowBytes), grpc.WithStaticConnWindowSize(windowBytes),
		grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(), grpc.WithDisableHealthCheck(),
		grpc.WithIdleTimeout(0),
	)
	if err != nil {
		return nil, err
	}
	return &Conn{grpc: conn, client: validatorv1.NewValidatorServiceClient(conn), meter: m}, nil
}

// Close closes the connection.
func (c *Conn) Close() { _ = c.grpc.Close() } // an error means that it is closed already

// An About is what a plugin says of itself, in printable characters.
type About struct {
	Name, Version string
	Validators    []Offer
}

// An Offer is one validator of a plugin.
type Offer struct{ Name, Version, Summary string }

// Describe asks the plugin what it is.
func (c *Conn) Describe(ctx context.Context) (About, error) {
	d, err := c.client.Describe(ctx, &validatorv1.DescribeRequest{})
	if err != nil {
		return About{}, callError("Describe", err)
	}
	about := About{Name: Shorten(d.GetName(), MaxNameBytes), Version: Shorten(d.GetVersion(), MaxNameBytes)}
	for _, v := range d.GetValidators() {
		about.Validators = append(about.Validators, Offer{logging.Clean(v.GetName()),
			logging.Clean(v.GetVersion()), logging.Clean(v.GetSummary())})
	}
	return about, nil
}

// An Instance asks for one validator of a plugin, under a name of its own and with settings.
type Instance = validatorv1.Instance

// A Configured is what the plugin answered for one Instance.
type Configured struct {
	First    judge.Expectation
	Reads    validator.Inputs
	Declared bool // it has declared what it reads
	Problems []Problem
}

// A Problem is something wrong with the settings of an Instance.
type Problem struct{ Key, Text string }

// Configure gives the validators their settings and returns one answer for each.
func (c *Conn) Configure(ctx context.Context, instances []*Instance) ([]Configured, error) {
	response, err := c.client.Configure(ctx, &validatorv1.ConfigureRequest{Instances: instances})
	if err != nil {
		return nil, callError("Configure", err)
	}
	if n := len(response.GetResults()); n != len(instances) {
		return nil, fmt.Errorf("the plugin answered Configure with %d results for %d validators", n, len(instances))
	}
	all := make([]Configured, len(instances))
	for i, r := range response.GetResults() {
		all[i].First = judge.Expectation{StepID: r.GetFirst(), Known: r.First != nil}
		all[i].Reads, all[i].Declared = sdk.DecodeReads(r.GetReads())
		for _, p := range r.GetProblems()[:min(len(r.GetProblems()), maxProblems)] {
			all[i].Problems = append(all[i].Problems, Problem{Shorten(p.GetKey(), sdk.MaxErrorBytes), Shorten(p.GetProblem(), sdk.MaxErrorBytes)})
		}
	}
	return all, nil
}

// errNoShutdown says that a plugin cannot be asked to end.
var errNoShutdown = fmt.Errorf("it does not serve %s; each stop would have to kill it", shutdownMethod[1:])

// Shutdown asks the plugin to end. Its error is nil unless the plugin does not serve the call: any
// other error may as well be the end of the process.
func (c *Conn) Shutdown(ctx context.Context) error {
	err := c.grpc.Invoke(ctx, shutdownMethod, &emptypb.Empty{}, &emptypb.Empty{})
	if status.Code(err) == codes.Unimplemented {
		return errNoShutdown
	}
	return nil
}

func (c *Conn) checkHealth(ctx context.Context) (*grpc_health_v1.HealthCheckResponse, error) {
	return grpc_health_v1.NewHealthClient(c.grpc).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: healthService})
}

// ping returns an error when the process does not answer in time. An answer of any kind will do: it
// shows that the process runs.
func (c *Conn) ping(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := c.checkHealth(ctx)
	switch status.Code(err) {
	case codes.DeadlineExceeded, codes.Unavailable, codes.Canceled:
	default:
		return nil
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("the plugin hangs: it did not answer a ping within %v", timeout)
	}
	return fmt.Errorf("the plugin does not answer a ping: %s", Shorten(status.Convert(err).Message(), sdk.MaxErrorBytes))
}

// discardOutput reads and drops what a plugin without the sdk sends of its stdout and stderr over
// gRPC, as go-plugin does by default. Unread it would block the plugin.
func (c *Conn) discardOutput(ctx context.Context) {
	stream, err := c.grpc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, stdioMethod)
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

// discard receives messages until an error or the end of the context, with pauses.
func discard(ctx context.Context, receive func() (size int, err error)) {
	for read := 0; ; {
		size, err := receive()
		if err != nil {
			return
		}
		if read += size + messageCost; read < discardBytes {
			continue
		}
		select {
		case <-time.After(discardPause * time.Duration(read) / discardBytes):
		case <-ctx.Done():
			return
		}
		read = 0
	}
}

// callError says why a call of the contract failed, without gRPC's own prefix.
func callError(method string, err error) error {
	s := status.Convert(err)
	if s.Code() == codes.Unimplemented {
		return fmt.Errorf("it does not serve %s of stepagent.validator.v1.ValidatorService", method)
	}
	return fmt.Errorf("%s: %s", method, Shorten(s.Message(), sdk.MaxErrorBytes))
}

// Shorten returns a plugin's text for logs and errors: printable, and cut after most bytes.
func Shorten(text string, most int) string {
	if len(text) <= most {
		return logging.Clean(text)
	}
	return logging.Clean(text[:most]) + "..."
}
