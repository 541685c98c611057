package sdk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
	"github.com/stepagent/stepagent/plugins/validator"
)

// A server is the plugin's side of the contract.
type server struct {
	validatorv1.UnimplementedValidatorServiceServer
	plugin    Plugin
	stderr    *os.File
	output    sync.Once
	configure sync.Mutex
	instances atomic.Pointer[[]instance] // nil until configured
}

func newServer(p Plugin, stderr *os.File) *server { return &server{plugin: p, stderr: stderr} }

// redirectOutput sets os.Stdout and os.Stderr to the process's stderr. go-plugin has replaced both by
// pipes, which it sends to the agent over gRPC and which block the writer if the agent is slow.
func (s *server) redirectOutput() {
	s.output.Do(func() {
		if s.stderr != nil {
			os.Stdout, os.Stderr = s.stderr, s.stderr
		}
	})
}

// Describe implements the contract.
func (s *server) Describe(context.Context, *validatorv1.DescribeRequest) (*validatorv1.DescribeResponse, error) {
	s.redirectOutput()
	if err := s.plugin.check(); err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	d := &validatorv1.DescribeResponse{Name: s.plugin.Name, Version: s.plugin.Version}
	for _, v := range s.plugin.Validators {
		d.Validators = append(d.Validators, &validatorv1.ValidatorInfo{
			Name: v.Name, Version: v.Version, Summary: v.Summary})
	}
	return d, nil
}

// check returns an error in the description of the plugin.
func (p Plugin) check() error {
	if p.Name == "" {
		return errors.New("the plugin has no name")
	}
	if len(p.Validators) == 0 {
		return errors.New("the plugin has no validators")
	}
	seen := map[string]bool{}
	for i, v := range p.Validators {
		switch {
		case v.Name == "":
			return fmt.Errorf("validator %d of the plugin has no name", i+1)
		case seen[v.Name]:
			return fmt.Errorf("the plugin has two validators with the name %q", v.Name)
		case v.New == nil:
			return fmt.Errorf("validator %q of the plugin has no function New", v.Name)
		}
		seen[v.Name] = true
	}
	return nil
}

// Configure implements the contract.
func (s *server) Configure(_ context.Context, r *validatorv1.ConfigureRequest) (*validatorv1.ConfigureResponse, error) {
	s.redirectOutput()
	if n := len(r.GetInstances()); n > MaxInstances {
		return nil, status.Errorf(codes.InvalidArgument, "%d instances, at most %d are allowed", n, MaxInstances)
	}
	s.configure.Lock()
	defer s.configure.Unlock()
	if s.instances.Load() != nil {
		return nil, status.Error(codes.FailedPrecondition, "configured already")
	}
	instances := make([]instance, 0, len(r.GetInstances()))
	response, sound := &validatorv1.ConfigureResponse{}, true
	for _, wanted := range r.GetInstances() {
		in, err := s.instance(wanted)
		result := &validatorv1.InstanceResult{Problems: problems(err)}
		if err == nil {
			// The session and its number of steps are not known yet.
			id, known, err := in.expects(validator.Session{Steps: 1})
			if err != nil {
				result.Problems = problems(err)
			} else if known {
				result.First = &id
			}
			if in.declared {
				result.Reads = EncodeReads(in.reads)
			}
		}
		sound = sound && len(result.Problems) == 0
		instances = append(instances, in)
		response.Results = append(response.Results, result)
	}
	if sound {
		s.instances.Store(&instances)
	}
	return response, nil
}

// instance makes one instance of one of the plugin's validators.
func (s *server) instance(wanted *validatorv1.Instance) (instance, error) {
	for _, v := range s.plugin.Validators {
		if v.Name == wanted.GetValidator() {
			return newInstance(wanted.GetName(), v.New, wanted.GetSettingsJson(), s.stderr)
		}
	}
	return instance{}, fmt.Errorf("plugin %s has no validator %q", s.plugin.Name, wanted.GetValidator())
}

// problems returns the errors that are joined in the error of a factory.
func problems(err error) []*validatorv1.Problem {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*validatorv1.Problem
		for _, e := range joined.Unwrap() {
			all = append(all, problems(e)...)
		}
		return all
	}
	if setting, ok := errors.AsType[*validator.SettingError](err); ok {
		return []*validatorv1.Problem{{Key: bound(setting.Key), Problem: bound(setting.Problem)}}
	}
	return []*validatorv1.Problem{{Problem: errorText(err)}}
}
