package conformance_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/conformance"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/plugins/sdk"
	"github.com/stepagent/stepagent/plugins/validator"
)

// TestMain is a plugin when it is started as one: the argument names its kind.
func TestMain(m *testing.M) {
	if os.Getenv(sdk.Handshake().MagicCookieKey) != "" {
		serve(os.Args[1])
		// At once: a program with the race detector in it takes a second for its usual end.
		_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
	}
	os.Exit(runTests(m))
}

// sharedHost is the host of all tests, which computes the checksum of this program once.
var sharedHost *pluginhost.Host

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "cf")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	sharedHost, err = pluginhost.New(pluginhost.Options{SocketDir: dir + "/p", PingTimeout: patientPing})
	if err != nil {
		panic(err)
	}
	defer sharedHost.Close()
	return m.Run()
}

type validate func(context.Context, validator.Session, validator.Step) (validator.Verdict, error)

func (v validate) Validate(ctx context.Context, s validator.Session, st validator.Step) (validator.Verdict, error) {
	return v(ctx, s, st)
}

// A declaring validator says what it reads.
type declaring struct {
	validate
	reads validator.Inputs
}

func (d declaring) Reads() validator.Inputs { return d.reads }

// declarations are those of the kinds that declare something; each judges as "sound" does.
func declarations() map[string]validator.Inputs {
	return map[string]validator.Inputs{
		"declares":       validator.InputPosition | validator.InputStepID,
		"declares times": validator.InputData | validator.InputAt | validator.InputGap,
		"declares none":  0,
	}
}

var pass = validator.PassWith(nil)

// kinds are validators that keep the contract or break it in one way.
func kinds() map[string]validate {
	var calls atomic.Int64
	return map[string]validate{
		"sound": func(_ context.Context, s validator.Session, _ validator.Step) (validator.Verdict, error) {
			return validator.PassWith([]byte{byte(s.Position)}), nil
		},
		"panics": func(_ context.Context, _ validator.Session, st validator.Step) (validator.Verdict, error) {
			if st.ID == math.MinInt64 {
				panic("overflow")
			}
			return pass, nil
		},
		"exits": func(_ context.Context, _ validator.Session, st validator.Step) (validator.Verdict, error) {
			if st.ID == math.MaxInt64 {
				os.Exit(3)
			}
			return pass, nil
		},
		"hangs": func(_ context.Context, _ validator.Session, st validator.Step) (validator.Verdict, error) {
			if st.ID == math.MaxInt64 {
				select {}
			}
			return pass, nil
		},
		"gives up": func(ctx context.Context, _ validator.Session, st validator.Step) (validator.Verdict, error) {
			if st.ID == 7 {
				<-ctx.Done()
				return validator.Verdict{}, ctx.Err()
			}
			return pass, nil
		},
		"remembers": func(context.Context, validator.Session, validator.Step) (validator.Verdict, error) {
			if calls.Add(1)%5 == 0 {
				return validator.FailWith(validator.RuleBroken, "every fifth", nil), nil
			}
			return pass, nil
		},
		"grows": func(_ context.Context, s validator.Session, _ validator.Step) (validator.Verdict, error) {
			return validator.PassWith(append(bytes.Clone(s.State), make([]byte, validator.MaxStateBytes/4)...)), nil
		},
		"strict": func(_ context.Context, _ validator.Session, st validator.Step) (validator.Verdict, error) {
			dec := json.NewDecoder(bytes.NewReader(st.Data))
			dec.DisallowUnknownFields()
			var known struct{ Voltage, OK, Name any }
			if err := dec.Decode(&known); err != nil && len(st.Data) > 0 {
				return validator.FailWith(validator.RuleBroken, err.Error(), nil), nil
			}
			return pass, nil
		},
		"first fails": func(context.Context, validator.Session, validator.Step) (validator.Verdict, error) {
			return validator.Verdict{Outcome: validator.Fail, Reason: "none"}, nil
		},
		"never": func(context.Context, validator.Session, validator.Step) (validator.Verdict, error) {
			return validator.Verdict{}, errors.New("needs data")
		},
	}
}

func serve(kind string) {
	if image, ok := strings.CutPrefix(kind, "released "); ok {
		if err := serveReleased(image); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if strings.HasPrefix(kind, "raw ") {
		serveRaw(kind)
		return
	}
	offer := func(name string) sdk.Validator {
		return sdk.Validator{Name: name, Version: "1", Summary: "a test", New: func(settings []byte) (validator.Validator, error) {
			var s struct {
				Limit int64 `json:"limit"`
			}
			if kind == "two problems" {
				return nil, errors.Join(&validator.SettingError{Key: "low", Problem: "is above high"},
					&validator.SettingError{Key: "high", Problem: "is odd"})
			}
			err := validator.DecodeSettings(settings, &s)
			if reads, ok := declarations()[kind]; ok {
				return declaring{kinds()["sound"], reads}, err
			}
			return kinds()[kind], err
		}}
	}
	sdk.Serve(sdk.Plugin{Name: "test", Version: "1.2.3", Validators: []sdk.Validator{offer("a"), offer("b")}})
}

// A log is what a Listener was told.
type log struct {
	lines    []conformance.Line
	progress int
	until    string // ends the check when it is in a line
	end      context.CancelFunc
}

func (l *log) Line(line conformance.Line) {
	l.lines = append(l.lines, line)
	if l.until != "" && strings.Contains(l.String(), l.until) {
		l.end()
	}
}

func (l *log) Progress(string, int, int) { l.progress++ }

func (l *log) String() string {
	var b strings.Builder
	for _, line := range l.lines {
		_, _ = fmt.Fprintf(&b, "%s: %s: %s\n", line.State, line.Check, strings.SplitN(line.Detail, "\n", 2)[0])
	}
	return b.String()
}

// allSessions is the kit's default, of which one session is long. The tests use fewSessions, which are 14
// steps: most questions are those that no ordinary session has.
const (
	allSessions = 24
	fewSessions = 3
)

// check runs the conformance check on this test binary as a plugin of the kind.
func check(t *testing.T, kind string, subject conformance.Subject) (*log, bool) {
	t.Helper()
	return checkUntil(t, kind, subject, "")
}

// checkUntil is check, but ends soon after a line with the wanted text.
func checkUntil(t *testing.T, kind string, subject conformance.Subject, want string) (*log, bool) {
	t.Helper()
	if subject.Path == "" {
		var err error
		if subject.Path, err = os.Executable(); err != nil {
			t.Fatal(err)
		}
		subject.Args = []string{kind}
	}
	subject.Sessions = cmp.Or(subject.Sessions, fewSessions)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := &log{until: want, end: cancel}
	return l, conformance.Run(ctx, sharedHost, subject, l)
}

// patientPing is how long a process may take to answer a ping while many are checked at once.
const patientPing = 10 * time.Second
