package config_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/protocol"
)

// samples is in the source tree, whose owner and modes are no matter of these tests.
const samples = "../../../../configs/"

// TestYesterdaysFile: what one release reads the next ones read too, to the same end.
func TestYesterdaysFile(t *testing.T) {
	t.Parallel()
	want := config.Default() // of which the file leaves out what has come since
	want.Host, want.Port, want.Allow, want.AllowFaults = "0.0.0.0", 9000, []string{"loopback", "private", "link-local"}, true
	want.Session.Steps, want.Session.IdleTimeout, want.Session.ResumeWindow, want.Session.LongestInterval = 12, 10*time.Minute, 90*time.Second, time.Hour
	want.Session.TakeoverWait, want.Session.RememberedReplies = 300*time.Millisecond, 32
	want.Limits.Connections, want.Limits.ConnectionsPerAddress, want.Limits.MessageBytes, want.Limits.MessageTime = 1000, 500, 8192, 3*time.Second
	want.Limits.ReplyTime, want.Limits.PipelinedMessages, want.Limits.Sessions, want.Limits.SessionsPerAddress = 4*time.Second, 16, 2000, 2000
	want.Limits.RememberedBytes = 64 << 20
	want.Judging.Floor, want.Judging.Cap, want.Judging.KeptMiB, want.Judging.RecheckEvery = 2*time.Second, 20*time.Second, 4, 1024
	want.Stop.Grace = 7 * time.Second
	want.Log.Format, want.Log.Level = "json", "warn"
	want.Admin.Socket, want.Admin.Mode = "/run/stepagent/admin.sock", "0600"
	want.ErrorCodes = map[protocol.Reason]int{"timeout_too_short": 1, "out_of_order": 2, "interval_not_kept": 3,
		"rule_broken": 3, "bad_message": 3, "bad_request": 3, "validator_unavailable": 3, "busy": 3,
		"shutting_down": 3, "internal": 3}
	want.Validators = []config.Validator{
		{Name: "sequence", As: "sequence", Settings: []byte(`{"after_bad_step":"hold","first":1,"last":12}`)},
		{Name: "min_timeout", As: "min_timeout", Settings: []byte(`{"seconds":2.5}`)},
		{Name: "faults", As: "faults",
			Settings: []byte(`{"plan":[{"fault":"withhold","step_id":4},{"delay":0.8,"fault":"late","step_id":6}]}`)},
		{Name: "torque", As: "torque-front", Path: "/usr/local/lib/stepagent/torque",
			Args: []string{"--axle", "front"}},
	}
	for _, file := range []string{"testdata/first.toml", "testdata/first.yaml"} {
		if diff := cmp.Diff(want, load(t, config.Sources{File: file, AnyOwner: true}).Config); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

// TestSamplesAreTheDefault: a sample that is installed as it is changes nothing.
func TestSamplesAreTheDefault(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"stepagent.toml", "stepagent.yaml"} {
		if diff := cmp.Diff(config.Default(), load(t, config.Sources{File: samples + name, AnyOwner: true}).Config); diff != "" {
			t.Errorf("%s (-default +sample):\n%s", name, diff)
		}
	}
}

// TestPackagedConfig: what a package installs differs from the defaults where the agent listens, in what
// sessions survive, and in that it serves HTTP to its own machine. It says that and which validators there
// are, so that one added at its end does not stand for them, and nothing else: boards keep this file as it
// is when defaults change.
func TestPackagedConfig(t *testing.T) {
	t.Parallel()
	const packaged = "../../../../packaging/stepagent.toml"
	want := config.Default()
	want.Host, want.HTTP.Listen, want.Session.Survives = "::", "127.0.0.1:8081", config.SurvivesRestart
	got := load(t, config.Sources{File: packaged, AnyOwner: true})
	if diff := cmp.Diff(want, got.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	text, err := os.ReadFile(packaged)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for line := range strings.Lines(string(text)) {
		if line := strings.TrimSpace(line); line != "" && line[0] != '#' {
			said = append(said, line)
		}
	}
	list := []string{"[[validators]]", `name = "sequence"`, "[[validators]]", `name = "min_timeout"`}
	if diff := cmp.Diff(append([]string{`host = "::"`, `session.survives = "restart"`, "[http]", `listen = "127.0.0.1:8081"`}, list...), said); diff != "" {
		t.Errorf("the packaged config says more than it must (-want +got):\n%s", diff)
	}
}

// TestSamplesUncommented: the examples in the samples are sound, and the same in both.
func TestSamplesUncommented(t *testing.T) {
	t.Parallel()
	example := regexp.MustCompile(`(?m)^( *)#((?:  +)?[^ \n].*)$`) // no space, or more than one
	var got []config.Config
	for _, name := range []string{"stepagent.toml", "stepagent.yaml"} {
		data, err := os.ReadFile(samples + name)
		if err != nil {
			t.Fatal(err)
		}
		text := example.ReplaceAllString(string(data), "$1$2")
		// Of the keys with a default of their own those that the examples need.
		environ := []string{"STEPAGENT_TLS_CERTIFICATE=/x/agent.pem", "STEPAGENT_TLS_KEY=/x/agent.key", "STEPAGENT_TLS_CLIENT_CA=/x/clients.pem"}
		got = append(got, load(t, config.Sources{File: write(t, name, text), Environ: environ}).Config)
	}
	if diff := cmp.Diff(got[0], got[1]); diff != "" {
		t.Errorf("the samples differ (-toml +yaml):\n%s", diff)
	}
	var names []string
	for _, v := range got[0].Validators {
		names = append(names, v.As)
		if len(v.Settings) == 0 {
			t.Errorf("the settings of %s were not uncommented", v.As)
		}
	}
	if diff := cmp.Diff([]string{"sequence", "min_timeout", "pacing", "rules", "torque-front"}, names); diff != "" {
		t.Errorf("validators (-want +got):\n%s", diff)
	}
	if len(got[0].TLS.Clients) != 2 || len(got[0].Listeners) != 2 {
		t.Errorf("clients and listeners were not uncommented: %+v, %+v", got[0].TLS.Clients, got[0].Listeners)
	}
	if len(got[0].ErrorCodes) != len(protocol.Sent()) {
		t.Errorf("not all error codes were uncommented: %v", got[0].ErrorCodes)
	}
}

// TestSamplesNameEveryKey: a key that comes new is explained in both samples.
func TestSamplesNameEveryKey(t *testing.T) {
	t.Parallel()
	names := tags(reflect.TypeFor[config.Config]())
	for _, reason := range protocol.Sent() {
		names = append(names, string(reason))
	}
	if len(names) < 40 {
		t.Fatalf("found only the keys %q", names)
	}
	for _, sample := range []string{"stepagent.toml", "stepagent.yaml"} {
		data, err := os.ReadFile(samples + sample)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			key := regexp.MustCompile(`(?m)^ *#? *(- )?(\[+(validators\.|tls\.)?)?` + name + `( =|:|\])`)
			if !key.Match(data) {
				t.Errorf("%s does not mention the key %s", sample, name)
			}
		}
	}
}

// tags returns the keys of a struct and of all that are in it.
func tags(of reflect.Type) (names []string) {
	for i := range of.NumField() {
		field := of.Field(i)
		names = append(names, field.Tag.Get("config"))
		switch {
		case field.Type.Kind() == reflect.Struct:
			names = append(names, tags(field.Type)...)
		case field.Type.Kind() == reflect.Slice && field.Type.Elem().Kind() == reflect.Struct:
			names = append(names, tags(field.Type.Elem())...)
		}
	}
	return names
}

// TestFaultsSample is what the timeout procedure needs.
func TestFaultsSample(t *testing.T) {
	t.Parallel()
	got := load(t, config.Sources{File: samples + "faults.toml", AnyOwner: true})
	want := config.Default()
	want.AllowFaults = true
	want.Validators = append(want.Validators, config.Validator{Name: "faults", As: "faults",
		Settings: []byte(`{"plan":[{"fault":"withhold","step_id":4},` +
			`{"delay":0.8,"fault":"late","step_id":6},{"fault":"reset","occurrence":1,"step_id":8}]}`)})
	if diff := cmp.Diff(want, got.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}
