package sdk

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/testing/protocmp"

	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
	"github.com/stepagent/stepagent/plugins/validator"
)

// validateFunc is a validator that is one function.
type validateFunc func(context.Context, validator.Session, validator.Step) (validator.Verdict, error)

func (f validateFunc) Validate(ctx context.Context, s validator.Session, st validator.Step) (validator.Verdict, error) {
	return f(ctx, s, st)
}

// counter passes the steps 1, 2, 3... and remembers in its state how many there were.
type counter struct{}

func (counter) Validate(_ context.Context, s validator.Session, step validator.Step) (validator.Verdict, error) {
	if step.ID != int64(len(s.State))+1 {
		return validator.FailWith(validator.OutOfOrder, "not the next", s.State), nil
	}
	return validator.PassWith(append([]byte("."), s.State...)), nil
}

func (counter) Expects(s validator.Session) (int64, bool) { return int64(len(s.State)) + 1, true }

func made(v validator.Validator) validator.Factory {
	return func([]byte) (validator.Validator, error) { return v, nil }
}

func plugin(validators ...Validator) Plugin {
	return Plugin{Name: "test", Version: "1.2.3", Validators: validators}
}

// dial serves the plugin in this process and returns its client.
func dial(t testing.TB, p Plugin) validatorv1.ValidatorServiceClient {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	s := grpc.NewServer()
	validatorv1.RegisterValidatorServiceServer(s, newServer(p, nil))
	go func() { _ = s.Serve(listener) }() // ends with Stop
	t.Cleanup(s.Stop)
	conn, err := grpc.NewClient("passthrough:plugin",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return validatorv1.NewValidatorServiceClient(conn)
}

func configure(t testing.TB, client validatorv1.ValidatorServiceClient, validators ...string) *validatorv1.ConfigureResponse {
	t.Helper()
	r := &validatorv1.ConfigureRequest{}
	for _, v := range validators {
		r.Instances = append(r.Instances, &validatorv1.Instance{Name: "my-" + v, Validator: v})
	}
	response, err := client.Configure(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func TestDescribe(t *testing.T) {
	client := dial(t, plugin(Validator{Name: "a", Version: "1", Summary: "judges a", New: made(counter{})}))
	got, err := client.Describe(t.Context(), &validatorv1.DescribeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := &validatorv1.DescribeResponse{Name: "test", Version: "1.2.3",
		Validators: []*validatorv1.ValidatorInfo{{Name: "a", Version: "1", Summary: "judges a"}}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestDescribeRefusesAnUnsoundPlugin(t *testing.T) {
	sound := Validator{Name: "a", New: made(counter{})}
	for want, p := range map[string]Plugin{
		"the plugin has no name":                          {Validators: []Validator{sound}},
		"the plugin has no validators":                    {Name: "p"},
		"validator 2 of the plugin has no name":           plugin(sound, Validator{New: sound.New}),
		`the plugin has two validators with the name "a"`: plugin(sound, sound),
		`validator "b" of the plugin has no function New`: plugin(sound, Validator{Name: "b"}),
	} {
		t.Run(want, func(t *testing.T) {
			_, err := dial(t, p).Describe(t.Context(), &validatorv1.DescribeRequest{})
			if got := status.Convert(err).Message(); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestConfigureSaysFirst(t *testing.T) {
	client := dial(t, plugin(
		Validator{Name: "counter", New: made(counter{})},
		Validator{Name: "any", New: made(validateFunc(nil))}))
	got := configure(t, client, "any", "counter")
	one := int64(1)
	want := &validatorv1.ConfigureResponse{Results: []*validatorv1.InstanceResult{{}, {First: &one}}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestConfigureSaysWhatIsRead(t *testing.T) {
	client := dial(t, plugin(
		Validator{Name: "some", New: made(teller{validator.InputStepID | validator.InputData})},
		Validator{Name: "none", New: made(teller{})},
		Validator{Name: "undeclared", New: made(validateFunc(nil))},
		Validator{Name: "panics", New: made(panickingReads{})}))
	got := configure(t, client, "some", "none", "undeclared", "panics").GetResults()
	if want := []validatorv1.Input{validatorv1.Input_INPUT_STEP_ID, validatorv1.Input_INPUT_DATA}; !slices.Equal(got[0].GetReads().GetInputs(), want) {
		t.Errorf("got %v", got[0])
	}
	if got[1].GetReads() == nil || len(got[1].GetReads().GetInputs()) > 0 {
		t.Errorf("who reads nothing: %v", got[1])
	}
	if got[2].GetReads() != nil {
		t.Errorf("who declares nothing: %v", got[2])
	}
	if p := got[3].GetProblems(); len(p) != 1 || p[0].GetProblem() != "panic: oh" {
		t.Errorf("who panics: %v", got[3])
	}
}

type panickingReads struct{ validateFunc }

func (panickingReads) Reads() validator.Inputs { panic("oh") }

func TestConfigureReportsEveryProblem(t *testing.T) {
	refuses := func(err error) validator.Factory {
		return func([]byte) (validator.Validator, error) { return nil, err }
	}
	client := dial(t, plugin(
		Validator{Name: "two", New: refuses(errors.Join(
			&validator.SettingError{Key: "a", Problem: "too small"},
			&validator.SettingError{Key: "b[1].c", Problem: "unknown key"}))},
		Validator{Name: "plain", New: refuses(errors.New("no"))},
		Validator{Name: "nothing", New: refuses(nil)},
		Validator{Name: "panics", New: func([]byte) (validator.Validator, error) { panic("oh") }},
	))
	var got []string
	for _, r := range configure(t, client, "two", "plain", "nothing", "panics", "missing").GetResults() {
		for _, p := range r.GetProblems() {
			got = append(got, p.GetKey()+": "+p.GetProblem())
		}
	}
	want := []string{"a: too small", "b[1].c: unknown key", ": no",
		": the plugin made no validator of these settings; its factory returned nil",
		": panic: oh", `: plugin test has no validator "missing"`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	stream, err := client.Judge(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("judges with unsound settings: %v", err)
	}
}

func TestConfigureRefuses(t *testing.T) {
	client := dial(t, plugin(Validator{Name: "counter", New: made(counter{})}))
	many := &validatorv1.ConfigureRequest{Instances: make([]*validatorv1.Instance, MaxInstances+1)}
	for i := range many.Instances {
		many.Instances[i] = &validatorv1.Instance{}
	}
	if _, err := client.Configure(t.Context(), many); status.Code(err) != codes.InvalidArgument {
		t.Errorf("too many instances: %v", err)
	}
	configure(t, client, "counter")
	if _, err := client.Configure(t.Context(), &validatorv1.ConfigureRequest{}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("configured twice: %v", err)
	}
}

func TestAPanicLeavesItsStackOnStderr(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = read.Close() }()
	in, err := newInstance("mine", made(validateFunc(func(context.Context, validator.Session, validator.Step) (validator.Verdict, error) {
		panic("here")
	})), nil, write)
	if err != nil {
		t.Fatal(err)
	}
	a := in.judge(t.Context(), validator.Session{}, validator.Step{})
	if a.Err == nil || a.Err.Error() != "panic: here" {
		t.Errorf("error = %v", a.Err)
	}
	buf := make([]byte, 1<<16)
	n, err := read.Read(buf)
	_ = write.Close()
	if err != nil || !strings.Contains(string(buf[:n]), "validator mine: panic: here\n") ||
		!strings.Contains(string(buf[:n]), "server_test.go") {
		t.Errorf("stderr = %q, %v", buf[:n], err)
	}
}
