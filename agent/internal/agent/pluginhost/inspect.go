package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
)

const (
	// stopLimit is how long a plugin that is told to end may take.
	stopLimit = time.Second
	// batchLimit is how long it may take for a few steps.
	batchLimit = 5 * time.Second
)

// An About is what a plugin says of itself.
type About struct {
	Name, Version string
	Validators    []Offer
	// Ready is how long it took from the execution of the file to this answer.
	Ready time.Duration
}

// An Offer is one validator of a plugin.
type Offer struct{ Name, Version, Summary string }

// A Check is one thing about a plugin that only its wire shows.
type Check struct {
	// Name says in a few words what was looked at.
	Name string
	// Err says what is wrong and what to do; nil for nothing.
	Err error
}

// Describe starts a plugin once, asks it what it is and ends it. Errors are *SpecError.
// Spec.Validator and Spec.Settings are not looked at.
func (h *Host) Describe(ctx context.Context, spec Spec) (about About, err error) {
	err = h.once(ctx, spec, func(ctx context.Context, l *launching) error {
		about, err = l.about(ctx)
		return err
	})
	return about, err
}

// Inspect starts a plugin once, with one validator, and looks at what authors in other
// languages have to write themselves: how it takes messages and how it ends. Report is told
// of each Check in turn. The error, a *SpecError, says why there was nothing to look at.
func (h *Host) Inspect(ctx context.Context, spec Spec, report func(Check)) error {
	return h.once(ctx, spec, func(ctx context.Context, l *launching) error {
		if err := l.describe(ctx); err != nil {
			return err
		}
		report(Check{"it serves the health service", l.health(ctx)})
		report(Check{"it answers a batch of steps, each once", l.batch(ctx)})
		report(Check{fmt.Sprintf("it ends within %v of Shutdown", stopLimit), l.endsWhenTold(ctx)})
		return nil
	})
}

// once runs the plugin of a spec for as long as use takes.
func (h *Host) once(ctx context.Context, spec Spec, use func(context.Context, *launching) error) error {
	members := []member{{Spec: spec}}
	if err := checkSpecs([]Spec{spec}); err != nil {
		return err
	}
	p, err := load(h, members)
	if err != nil {
		return err
	}
	defer p.close()
	ctx, cancel := context.WithTimeoutCause(ctx, h.options.StartTimeout,
		fmt.Errorf("more than %v have passed", h.options.StartTimeout))
	defer cancel()
	l := newLaunching(h, members, p)
	defer func() { l.stop(h.grace(l)) }()
	address, err := l.start(ctx, h)
	if err == nil {
		err = l.dial(address)
	}
	if err == nil {
		err = use(ctx, l)
	}
	if err != nil {
		return l.failed(ctx, err)
	}
	return nil
}

// grace is how long a process that is inspected has to end by itself: none before there is a
// way to tell it.
func (h *Host) grace(l *launching) time.Duration {
	if l.conn == nil {
		return 0
	}
	return h.options.StopTimeout
}

// about asks the plugin what it is.
func (l *launching) about(ctx context.Context) (About, error) {
	d, err := validatorv1.NewValidatorServiceClient(l.conn).Describe(ctx, &validatorv1.DescribeRequest{})
	if err != nil {
		return About{}, serviceError("Describe", err)
	}
	about := About{Name: brief(d.GetName(), maxNameBytes), Version: brief(d.GetVersion(), maxNameBytes), Ready: time.Since(l.started)}
	for _, v := range d.GetValidators() {
		about.Validators = append(about.Validators, Offer{printable([]byte(v.GetName())),
			printable([]byte(v.GetVersion())), printable([]byte(v.GetSummary()))})
	}
	if len(about.Validators) == 0 {
		return about, errors.New("Describe: the plugin has no validators")
	}
	return about, nil
}

// health asks for what the agent pings.
func (l *launching) health(ctx context.Context) error {
	r, err := grpc_health_v1.NewHealthClient(l.conn).Check(ctx,
		&grpc_health_v1.HealthCheckRequest{Service: goplugin.GRPCServiceName})
	switch {
	case err != nil:
		return fmt.Errorf("grpc.health.v1.Health/Check for the service %q: %s; serve the standard health service",
			goplugin.GRPCServiceName, printable([]byte(status.Convert(err).Message())))
	case r.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING:
		return fmt.Errorf("the health of the service %q is %v; it must be SERVING", goplugin.GRPCServiceName, r.GetStatus())
	}
	return nil
}

// unknownField is a field of the number 1000 that no version of the contract has: an older
// plugin must pass over what a newer agent says.
var unknownField = []byte{0xc2, 0x3e, 1, 'x'}

// batch puts three steps into one message, and waits for as many answers in any messages.
func (l *launching) batch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, batchLimit)
	defer cancel()
	stream, err := validatorv1.NewValidatorServiceClient(l.conn).Judge(ctx)
	if err != nil {
		return serviceError("Judge", err)
	}
	request := &validatorv1.JudgeRequest{}
	open := map[uint64]bool{}
	for _, number := range []uint64{7, 1 << 40, 8} {
		open[number] = true
		call := &validatorv1.StepCall{Call: number, BudgetNs: int64(batchLimit), States: [][]byte{nil},
			Session: &validatorv1.Session{Steps: 10}, Step: &validatorv1.Step{Id: 1}}
		for _, m := range []proto.Message{call, call.Session, call.Step} {
			m.ProtoReflect().SetUnknown(unknownField)
		}
		request.Calls = append(request.Calls, call)
	}
	if err := stream.Send(request); err != nil {
		return serviceError("Judge", err)
	}
	for len(open) > 0 {
		response, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("%w, with %d of 3 steps unanswered", serviceError("Judge", err), len(open))
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

// endsWhenTold calls Shutdown and sees whether the process ends, in time and by itself.
func (l *launching) endsWhenTold(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	err := l.conn.Invoke(ctx, shutdownMethod, &emptypb.Empty{}, &emptypb.Empty{})
	if status.Code(err) == codes.Unimplemented {
		return fmt.Errorf("it does not serve %s; each stop would have to kill it", shutdownMethod[1:])
	}
	select {
	case <-l.process.exited:
	case <-ctx.Done():
		return fmt.Errorf("it still ran %v after it had been told to end", stopLimit)
	}
	if how := l.process.ending(); how != "exit status 0" {
		return fmt.Errorf("it ended with %s where it must end with exit status 0", how)
	}
	return nil
}
