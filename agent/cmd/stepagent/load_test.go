package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/sdk"
	"github.com/stepagent/stepagent/plugins/sequence"
	"github.com/stepagent/stepagent/plugins/validator"
)

// testPluginName is the name under which this test binary is a plugin.
const testPluginName = "test-plugin"

// serveTestPlugin serves a validator that answers step 1 alone, and the order validator with a
// reason of another's, so that one can tell who judged.
// With the name of a file as its argument it leaves a process behind and adds its id to the file.
func serveTestPlugin() {
	if len(os.Args) > 1 {
		leaveDaemon(os.Args[1])
	}
	sdk.Serve(sdk.Plugin{Name: testPluginName, Version: "1", Validators: []sdk.Validator{
		{Name: "stuck", Version: "1", New: func([]byte) (validator.Validator, error) {
			return validate(func(ctx context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
				if step.ID == 1 {
					return validator.PassWith(nil), nil
				}
				<-ctx.Done()
				return validator.Verdict{}, ctx.Err()
			}), nil
		}},
		{Name: "sequence", Version: "1", New: func(settings []byte) (validator.Validator, error) {
			bundled, err := sequence.New(settings)
			if err != nil {
				return nil, err
			}
			return validate(func(ctx context.Context, s validator.Session, step validator.Step) (validator.Verdict, error) {
				v, err := bundled.Validate(ctx, s, step)
				if v.Outcome == validator.Fail {
					v.Reason = validator.RuleBroken
				}
				return v, err
			}), nil
		}},
		secretValidator(),
	}})
	// At once: a program with the race detector in it takes a second for its usual end.
	_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
}

func leaveDaemon(file string) {
	daemon := exec.Command("/bin/sleep", "3600")
	daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	list, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err == nil {
		err = daemon.Start()
	}
	if err == nil {
		_, err = fmt.Fprintln(list, daemon.Process.Pid)
	}
	if err != nil {
		panic(err)
	}
}

type validate func(context.Context, validator.Session, validator.Step) (validator.Verdict, error)

func (v validate) Validate(ctx context.Context, s validator.Session, step validator.Step) (validator.Verdict, error) {
	return v(ctx, s, step)
}

// testPlugin returns the path of an executable that is the test plugin: this one by another name.
func testPlugin(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), testPluginName)
	if os.Link(self, path) == nil {
		return path
	}
	if program, err := os.ReadFile(self); err != nil { // of another file system
		t.Fatal(err)
	} else if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// A load is clients that perform a procedure with one step out of order, over and over, and
// check every reply against what the rules say.
type load struct {
	t       *testing.T
	stop    context.CancelFunc
	clients sync.WaitGroup
	steps   atomic.Int64
	unavail atomic.Int64
	reasons sync.Map // of the step out of order
}

// procedure is what each client sends; the step in third place is out of order.
var procedure = []int64{1, 2, 100, 4, 5, 6, 7, 8, 9, 10}

func startLoad(t *testing.T, a *agentProcess, clients int) *load {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	l := &load{t: t, stop: stop}
	for n := range clients {
		c, err := client.Dial(ctx, a.address(), client.Options{RetryFor: -1})
		if err != nil {
			t.Fatal(err)
		}
		l.clients.Go(func() {
			defer func() { _ = c.Close() }()
			for round := 0; ctx.Err() == nil; round++ {
				l.perform(c, fmt.Sprintf("load-%d-%d", n, round))
			}
		})
	}
	return l
}

// perform performs the procedure once. A step that the agent could not judge is sent again,
// which must be as if nothing had happened.
func (l *load) perform(c *client.Client, session string) {
	for i, id := range procedure {
		for try := 0; ; try++ {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			reply, err := c.Do(ctx, protocol.Request{
				StepID: id, Session: session, Timeout: protocol.Seconds(patience),
			})
			cancel()
			if err != nil {
				l.t.Errorf("session %s, step %d: %v", session, id, err)
				return
			}
			if reply.Reason == protocol.ValidatorUnavailable && try < 100 {
				l.unavail.Add(1)
				time.Sleep(10 * time.Millisecond)
				continue
			}
			if id == 100 {
				l.reasons.Store(reply.Reason, true)
			}
			if wrong := id == 100; wrong == reply.OK() || reply.End != (i == len(procedure)-1) {
				l.t.Errorf("session %s, step %d in place %d got %+v", session, id, i+1, reply)
				return
			}
			l.steps.Add(1)
			break
		}
	}
}

// progress waits until the clients have done some more steps.
func (l *load) progress(steps int64) {
	l.t.Helper()
	goal := l.steps.Load() + steps
	waitFor(l.t, "more steps", func() bool { return l.steps.Load() >= goal })
}

func (l *load) end() {
	l.stop()
	l.clients.Wait()
}

// TestPluginKilledUnderLoad: a new process serves at once each time, no session loses its
// position and no verdict is wrong.
func TestPluginKilledUnderLoad(t *testing.T) {
	t.Parallel()
	a := startAgent(t, "port = 1\n")
	l := startLoad(t, a, 20)
	const kills = 2
	for n := range kills {
		l.progress(500)
		pid := a.status().Validators[0].PID
		killed := time.Now()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "another process", func() bool {
			v := a.status().Validators[0]
			return v.PID != 0 && v.PID != pid
		})
		// A fraction of a second on a machine with nothing else to do; the pauses between
		// starts grow to half a minute.
		if took := time.Since(killed); took > 10*time.Second && n == 0 {
			t.Errorf("another process after %v, want it at once", took)
		}
	}
	l.progress(500)
	l.end()
	if restarts := a.status().Validators[0].Restarts; restarts != kills {
		t.Errorf("%d restarts after %d kills", restarts, kills)
	}
	t.Logf("%d steps, %d of them had to be sent again", l.steps.Load(), l.unavail.Load())
	a.signal(syscall.SIGTERM)
	if err := a.wait(); err != nil {
		t.Errorf("the agent's end: %v", err)
	}
}

// TestSwapUnderLoad: a validator in another executable takes the place of the bundled one
// and gives it back, again and again, while clients run.
func TestSwapUnderLoad(t *testing.T) {
	soaktest.Only(t)
	const bundled = "port = 1\n"
	own := fmt.Sprintf("[[validators]]\nname = \"sequence\"\npath = %q\n", testPlugin(t))
	a := startAgent(t, bundled)
	l := startLoad(t, a, 20)
	for n := range 6 {
		l.progress(300)
		a.configure([]string{own, bundled}[n%2])
		if err := a.reload(); err != nil {
			t.Fatal(err)
		}
		if n == 2 {
			a.configure("[[validators]]\nname = \"sequence\"\npath = \"/none\"\n")
			if err := a.reload(); err == nil || !strings.Contains(err.Error(), "/none") {
				t.Errorf("a reload with a validator that is not there: %v", err)
			}
		}
	}
	l.progress(300)
	l.end()
	if l.unavail.Load() != 0 {
		t.Errorf("%d steps were not judged during swaps", l.unavail.Load())
	}
	for _, reason := range []protocol.Reason{protocol.OutOfOrder, protocol.RuleBroken} {
		if _, ok := l.reasons.Load(reason); !ok {
			t.Errorf("no step was refused with %s: one of the validators never judged", reason)
		}
	}
	if g := a.status().Generation; g != 7 {
		t.Errorf("generation %d after 6 reloads", g)
	}
	a.signal(syscall.SIGTERM)
	if err := a.wait(); err != nil {
		t.Errorf("the agent's end: %v", err)
	}
}

// TestStopUnderLoad: clients see their replies or a closed connection, and the agent ends
// with 0.
func TestStopUnderLoad(t *testing.T) {
	a := startAgent(t, "port = 1\n")
	var steps atomic.Int64
	var clients sync.WaitGroup
	for range 20 {
		c, err := client.Dial(t.Context(), a.address(), client.Options{RetryFor: -1})
		if err != nil {
			t.Fatal(err)
		}
		clients.Go(func() {
			defer func() { _ = c.Close() }()
			for id := int64(0); ; id++ {
				reply, err := c.Do(t.Context(), protocol.Request{StepID: id%10 + 1, Timeout: protocol.Seconds(patience)})
				switch {
				case errors.Is(err, client.ErrConnectionLost), errors.Is(err, client.ErrUnreachable):
					return
				case err != nil:
					t.Errorf("step %d: %v", id, err)
					return
				case reply.Reason == protocol.ShuttingDown:
					return
				case !reply.OK():
					t.Errorf("step %d: %+v", id, reply)
					return
				}
				steps.Add(1)
			}
		})
	}
	waitFor(t, "steps", func() bool { return steps.Load() > 1000 })
	a.signal(syscall.SIGTERM)
	if err := a.wait(); err != nil {
		t.Errorf("the agent's end: %v\n%s", err, a.stderr.String())
	}
	clients.Wait()
}
