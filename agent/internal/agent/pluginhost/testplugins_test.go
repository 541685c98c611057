package pluginhost

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/sdk"
	"github.com/stepagent/stepagent/plugins/validator"
)

// rule is a validator that is one function.
type rule func(ctx context.Context, s validator.Session, step validator.Step) (validator.Verdict, error)

func (r rule) Validate(ctx context.Context, s validator.Session, step validator.Step) (validator.Verdict, error) {
	return r(ctx, s, step)
}

// counter passes the steps 1, 2, 3... and counts them in its state.
type counter struct{}

func (counter) Validate(_ context.Context, s validator.Session, step validator.Step) (validator.Verdict, error) {
	if want := int64(len(s.State)) + 1; step.ID != want {
		return validator.FailWith(validator.OutOfOrder, fmt.Sprintf("got step %d, want %d", step.ID, want), s.State), nil
	}
	return validator.PassWith(append([]byte{'.'}, s.State...)), nil
}

func (counter) Expects(s validator.Session) (int64, bool) { return int64(len(s.State)) + 1, true }

func echo(context.Context, validator.Session, validator.Step) (validator.Verdict, error) {
	return validator.PassWith(nil), nil
}

// mirror says in its verdict what data and what state it got.
func mirror(_ context.Context, s validator.Session, step validator.Step) (validator.Verdict, error) {
	return validator.Verdict{Outcome: validator.Pass, Detail: fmt.Sprintf("%s after %x", step.Data, s.State)}, nil
}

// at returns a validator that does something at one step, named by its settings, and passes
// the others.
func at(do func(ctx context.Context)) validator.Factory {
	return func(settings []byte) (validator.Validator, error) {
		var want struct {
			Step int64 `json:"step"`
		}
		if err := validator.DecodeSettings(settings, &want); err != nil {
			return nil, err
		}
		return rule(func(ctx context.Context, s validator.Session, step validator.Step) (validator.Verdict, error) {
			if step.ID == want.Step {
				do(ctx)
			}
			return echo(ctx, s, step)
		}), nil
	}
}

// isProbe reports whether a step is of a self-test or a trial reload. In these tests no other step has
// its timeout.
func isProbe(step validator.Step) bool {
	_, one := ordinaryStep(0, judge.Expectation{})
	return step.Timeout == one.Timeout
}

// flaky passes a step when it sees it first, and fails it from then on.
func flaky() rule {
	var seen sync.Map
	return func(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
		if isProbe(step) {
			return validator.PassWith(nil), nil
		}
		if _, again := seen.LoadOrStore(step.ID, true); again {
			return validator.FailWith(validator.RuleBroken, "now and then", nil), nil
		}
		return validator.PassWith(nil), nil
	}
}

// secondHangs answers the self-test and one step, and no further ones.
func secondHangs(forever chan struct{}) rule {
	var asked atomic.Int64
	return func(ctx context.Context, s validator.Session, step validator.Step) (validator.Verdict, error) {
		if asked.Add(1) > 2 {
			<-forever
		}
		return echo(ctx, s, step)
	}
}

// secondDawdles answers the self-test and one step, and takes its time for every further one.
func secondDawdles() rule {
	var asked atomic.Int64
	return func(ctx context.Context, s validator.Session, step validator.Step) (validator.Verdict, error) {
		if asked.Add(1) > 2 {
			time.Sleep(time.Second) // twice as long as a hung process may be silent
			_, _ = os.Stderr.WriteString("dawdled\n")
		}
		return echo(ctx, s, step)
	}
}

// hog takes memory until it has no more, or has a gigabyte: no limit is in force. It does not write into
// the memory, as what is mapped counts.
func hog(context.Context) {
	const block = 16 << 20
	for all := [][]byte{}; len(all) < 1<<30/block; {
		all = append(all, make([]byte, block))
	}
}

// dawdles is slow at the second and the third step of a session, so that the trial of the old
// validators takes longer than trialTime. The self-test is the first step.
func dawdles(ctx context.Context, s validator.Session, step validator.Step) (validator.Verdict, error) {
	if s.Position == 1 || s.Position == 2 {
		time.Sleep(trialTime * 11 / 20)
	}
	return echo(ctx, s, step)
}

// writes passes and leaves a state of a version, and is undecided on one of another.
func writes(version string) rule {
	return func(_ context.Context, s validator.Session, _ validator.Step) (validator.Verdict, error) {
		if len(s.State) > 0 && string(s.State) != version {
			return validator.Verdict{}, errors.New("the state is not of version " + version)
		}
		return validator.PassWith([]byte(version)), nil
	}
}

// orphans leaves a process behind at every step, which ends soon after its parent has.
func orphans(ctx context.Context, s validator.Session, step validator.Step) (validator.Verdict, error) {
	if err := exec.Command("/bin/sh", "-c", "/bin/sleep 0.01 &").Run(); err != nil {
		return validator.Verdict{}, err
	}
	return echo(ctx, s, step)
}

// gush prints without end from a step on, and says how much it has got rid of in the state of
// every step.
type gush struct{ printed atomic.Int64 }

func (g *gush) Validate(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
	switch step.ID {
	case 3:
		go g.print(2, "no end of line ")
	case 4:
		go g.print(2, "\n")
	case 5:
		go g.print(1, "no end of line ")
	}
	return validator.PassWith(strconv.AppendInt(nil, g.printed.Load(), 10)), nil
}

func (g *gush) print(fd int, text string) {
	much := bytes.Repeat([]byte(text), 4096/len(text))
	for {
		n, _ := syscall.Write(fd, much)
		g.printed.Add(int64(max(n, 0)))
	}
}

func always(v validator.Validator) validator.Factory {
	return func([]byte) (validator.Validator, error) { return v, nil }
}

func bundled() sdk.Plugin {
	forever := make(chan struct{})
	return sdk.Plugin{Name: "bundled", Version: "1.2.3", Validators: []sdk.Validator{
		{Name: "echo", Version: "1", Summary: "passes", New: always(rule(echo))},
		{Name: "tells", New: newTells},
		{Name: "mirror", New: always(rule(mirror))},
		{Name: "counter-declared", New: always(declaredCounter{})},
		{Name: "counter", Version: "1", Summary: "counts", New: always(counter{})},
		{Name: "crash", New: at(func(context.Context) { os.Exit(3) })},
		{Name: "crash-loudly", New: at(func(context.Context) {
			_, _ = os.Stderr.WriteString(strings.Repeat("loud\n", 3*lineBurst/4))
			os.Exit(3)
		})},
		{Name: "bomb", New: at(bomb)},
		{Name: "hang", New: at(func(context.Context) { <-forever })},
		{Name: "slow", New: at(func(ctx context.Context) { <-ctx.Done() })},
		{Name: "panic", New: at(func(context.Context) { panic("on purpose") })},
		{Name: "print", New: at(func(context.Context) {
			fmt.Println("to stdout")
			fmt.Fprintln(os.Stderr, "to stderr \x1b[31mred")
			fmt.Fprintln(os.Stderr, `{"@message":1}`)
			_, _ = syscall.Write(1, []byte(strings.Repeat("x", 100<<10)+"\n"))
		})},
		{Name: "flood", New: at(func(context.Context) {
			go func() {
				for {
					_, _ = os.Stderr.WriteString("flood\n")
				}
			}()
		})},
		{Name: "orphans", New: always(rule(orphans))},
		{Name: "gush", New: always(&gush{})},
		{Name: "meddle", New: always(rule(meddle))},
		{Name: "flaky", New: always(flaky())},
		{Name: "flaky-declared", New: always(declared{flaky(), validator.InputStepID | validator.InputTimeout})},
		{Name: "second-hangs", New: always(secondHangs(forever))},
		{Name: "second-dawdles", New: always(secondDawdles())},
		{Name: "dawdles", New: always(rule(dawdles))},
		{Name: "hog", New: at(hog)},
		{Name: "writes-1", New: always(writes("1"))},
		{Name: "writes-2", New: always(writes("2"))},
		{Name: "environment", New: always(rule(func(context.Context, validator.Session, validator.Step) (validator.Verdict, error) {
			return validator.PassWith([]byte(strings.Join(os.Environ(), "\n"))), nil
		}))},
	}}
}

func serveBundled() { sdk.Serve(bundled()) }

// misbehave is a plugin process of the given kind.
func misbehave(kind string) {
	switch kind {
	case "good":
		serveBundled()
	case "silent":
		time.Sleep(time.Hour) // without cgo, Go ends a process that waits for nothing
	case "panics":
		panic("no licence found")
	case "prints-first":
		fmt.Println("hello there")
		serveBundled()
	case "other-cookie":
		_ = os.Setenv("STEPAGENT_PLUGIN", "another product")
		serveBundled()
	case "no-validators":
		sdk.Serve(sdk.Plugin{Name: "empty"})
	case "ignores-signals":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		serveBundled()
		time.Sleep(time.Hour) // and does not end when it is told to
	case "grandchild", "daemon":
		child := exec.Command("/bin/sleep", nap(os.Getppid()))
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: kind == "daemon"}
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			panic(err)
		}
		serveBundled()
	case "helper", "helper-daemon":
		// In the background, so that its parent is the agent.
		child := exec.Command("/bin/sh", "-c", "/bin/sleep "+nap(os.Getppid())+" &")
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: kind == "helper-daemon"}
		if err := child.Run(); err != nil {
			panic(err)
		}
		serveBundled()
	case "hidden-daemon":
		// Out of the session, of the reach of its parents, and without an environment.
		child := exec.Command("/usr/bin/setsid", "/usr/bin/env", "-i", "/bin/sh", "-c", "/bin/sleep "+nap(os.Getppid())+" & exit 0")
		if err := child.Run(); err != nil {
			panic(err)
		}
		serveBundled()
	default:
		serveWirePlugin(wireFault(kind))
	}
}

// certificate is one in the form in which go-plugin has it in a handshake.
func certificate() string {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	one := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(nil, one, one, public, private)
	if err != nil {
		panic(err)
	}
	return base64.RawStdEncoding.EncodeToString(der)
}

// nap is how long a grandchild of the test with the given process id sleeps: an hour and a
// fraction that tells it from those of other tests.
func nap(test int) string { return fmt.Sprintf("3600.%d", test) }
