package load

import (
	"context"
	"errors"
	"math"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A correct agent causes no troubles, however clients connect.
func TestRight(t *testing.T) {
	for name, test := range map[string]struct {
		reconnect Reconnect
		named     bool
		steps     int // to a connection; 0 for all
	}{
		"one connection":  {Never, false, 0},
		"each session's":  {EachSession, false, 10},
		"each step's own": {EachStep, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			const clients, steps = 7, 700
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var misnamed atomic.Bool
			agent := newFakeAgent(t, func(place int, r request) string {
				if (r.Session != "") != test.named {
					misnamed.Store(true)
				}
				if place == steps {
					cancel()
				}
				return r.right()
			})
			o := options(t, agent.address, clients)
			o.Reconnect = test.reconnect
			result, err := Run(ctx, o)
			if err != nil {
				t.Fatal(err)
			}
			if len(result.Troubles()) > 0 || result.Steps < steps || result.Steps != uint64(agent.count()) {
				t.Errorf("%d of %d steps, and %+v", result.Steps, agent.count(), result.Troubles())
			}
			if misnamed.Load() {
				t.Error("sessions are named, or not, as they must not be")
			}
			conns := clients
			if test.steps > 0 {
				conns = int(result.Steps) / test.steps
			}
			if d := int(result.Made) - conns; d < 0 || d > clients {
				t.Errorf("%d connections for %d steps", result.Made, result.Steps)
			}
			if s := result.Steps / lastStep; result.Sessions > s || result.Sessions+clients < s {
				t.Errorf("%d sessions of %d steps", result.Sessions, result.Steps)
			}
			if least, most := result.Latency(0), result.Latency(100); least <= 0 || most < least || most > result.Elapsed*2 {
				t.Errorf("latencies from %v to %v in %v", least, most, result.Elapsed)
			}
			if result.Throughput() <= 0 {
				t.Errorf("throughput %v", result.Throughput())
			}
		})
	}
}

// Every fault of an agent is counted by kind with an example, and the client continues.
func TestTroubles(t *testing.T) {
	const at = 13 // the place of the step that goes wrong: step 3 of the second session
	for name, test := range map[string]struct {
		answer string // in place of {"step_id":3,"error_code":0}
		class  Class
		kind   string
		again  bool // the same step comes again, on the same connection
	}{
		"NOK":                 {`{"step_id":3,"error_code":1,"reason":"out_of_order","detail":"x"}` + "\n", Wrong, "wrong_verdict", false},
		"NOK with no reason":  {`{"step_id":3,"error_code":1}` + "\n", Wrong, "wrong_verdict", false},
		"OK with a reason":    {`{"step_id":3,"error_code":0,"reason":"out_of_order"}` + "\n", Wrong, "wrong_verdict", false},
		"another step":        {`{"step_id":4,"error_code":0}` + "\n", Wrong, "wrong_step", false},
		"no step":             {`{"step_id":null,"error_code":1,"reason":"bad_message"}` + "\n", Wrong, "wrong_step", false},
		"another session":     {`{"step_id":3,"error_code":0,"session":"other"}` + "\n", Wrong, "wrong_session", false},
		"an early end":        {`{"step_id":3,"error_code":0,"end":true}` + "\n", Wrong, "wrong_end", false},
		"no reply at all":     {"HTTP/1.1 400 Bad Request\r\n", Wrong, "wrong_reply", false},
		"a line without end":  {strings.Repeat("x", 2*bufferBytes), Wrong, "wrong_reply", false},
		"two replies":         {`{"step_id":3,"error_code":0}` + "\n" + `{"step_id":3,"error_code":0}` + "\n", Wrong, "unasked_reply", false},
		"nothing":             {"", Missing, "no_reply", false},
		"half a reply":        {`{"step_id":3,"err`, Missing, "no_reply", false},
		"undecided":           {`{"step_id":3,"error_code":1,"reason":"validator_unavailable"}` + "\n", Missing, "validator_unavailable", true},
		"busy":                {`{"step_id":3,"error_code":1,"reason":"busy"}` + "\n", Missing, "busy", true},
		"a defect":            {`{"step_id":3,"error_code":1,"reason":"internal"}` + "\n", Missing, "internal", true},
		"a closed connection": {hangUp, Lost, "connection_lost", false},
		"a stop":              {`{"step_id":3,"error_code":1,"reason":"shutting_down"}` + "\n", Lost, "shutting_down", false},
		"a stop, unnamed":     {`{"step_id":null,"error_code":1,"reason":"shutting_down"}` + "\n", Lost, "shutting_down", false},
		"turned away":         {`{"step_id":null,"error_code":1,"reason":"busy"}` + "\n", Refused, "connection_refused", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // some wait long
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			agent := newFakeAgent(t, func(place int, r request) string {
				want := int64(place-1)%lastStep + 1
				switch {
				case place == at:
					return test.answer
				case place > at && test.again:
					want = int64(place-2)%lastStep + 1
				case place > at:
					want = int64(place-at-1)%lastStep + 1
				}
				if r.StepID != want {
					t.Errorf("request %d is step %d, want %d", place, r.StepID, want)
				}
				if place == at+5 {
					cancel()
				}
				return r.right()
			})
			o := options(t, agent.address, 1)
			o.Wait = time.Hour
			if test.kind == "no_reply" {
				o.Wait = 2 * time.Second // in which all other replies come on any machine
			}
			result, err := Run(ctx, o)
			if err != nil {
				t.Fatal(err)
			}
			all := result.Troubles()
			if len(all) != 1 || all[0].Class != test.class || all[0].Kind != test.kind || all[0].Count != 1 ||
				!strings.Contains(all[0].Example, `client 1, step 3 of its procedure: sent {"step_id":3,"timeout":5}, got `) {
				t.Errorf("got %+v", all)
			}
			if result.Steps < at+4 || result.Steps != uint64(agent.count())-1 || result.Count(test.class) != 1 {
				t.Errorf("%d steps of %d requests, and %+v", result.Steps, agent.count(), all)
			}
			if want := map[bool]uint64{true: 1, false: 2}[test.again]; result.Made != want {
				t.Errorf("%d connections, want %d", result.Made, want)
			}
		})
	}
}

// The agent must refuse the wrong steps of a procedure.
func TestMistakesMustBeFound(t *testing.T) {
	reasons := map[bool]string{}
	for _, found := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		agent := newFakeAgent(t, func(place int, r request) string {
			if place == lastStep {
				cancel()
			}
			reason, end := "", ""
			switch {
			case r.StepID != int64(place-1)%lastStep+1:
				reason = "out_of_order"
			case r.Timeout < 5:
				reason = "timeout_too_short"
			}
			if place%lastStep == 0 {
				end = `,"end":true`
			}
			if reason == "" || !found {
				return `{"step_id":` + jsonNumber(r.StepID) + `,"error_code":0` + end + "}\n"
			}
			return `{"step_id":` + jsonNumber(r.StepID) + `,"error_code":2,"reason":"` + reason + `","detail":"..."` + end + "}\n"
		})
		o := options(t, agent.address, 1)
		o.Plan = plan(t, "failure")
		result, err := Run(ctx, o)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		for _, trouble := range result.Troubles() {
			reasons[found] += trouble.Kind + " "
		}
	}
	if reasons[true] != "" || !strings.HasPrefix(reasons[false], "wrong_verdict ") {
		t.Errorf("troubles with mistakes found: %q, and not found: %q", reasons[true], reasons[false])
	}
}

func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), options(t, address, 3)); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, options(t, address, 3)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// While an agent restarts, its clients retry, and count refused connections.
func TestRestart(t *testing.T) {
	const lastWords = 5
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first := make(chan net.Listener, 1)
	agent := &fakeAgent{answer: func(place int, r request) string {
		switch place {
		case lastWords:
			_ = (<-first).Close()
			return hangUp
		case 2 * lastWords:
			cancel()
		}
		return r.right()
	}}
	listener := agent.listen(t, "127.0.0.1:0")
	first <- listener
	o := options(t, listener.Addr().String(), 1)
	again := false
	o.ProgressInterval = time.Millisecond
	o.Progress = func(r Result) {
		if !again && r.Count(Refused) >= 2 {
			again = true
			agent.listen(t, o.Address)
		}
	}
	result, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if result.Count(Lost) != 1 || result.Count(Refused) < 2 || result.Count(Wrong)+result.Count(Missing) != 0 ||
		result.Steps < 2*lastWords-1 {
		t.Errorf("%d steps, %+v", result.Steps, result.Troubles())
	}
}

func TestOptions(t *testing.T) {
	good := options(t, "localhost:1", 1)
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Options){
		"1 to 64000, not 0":     func(o *Options) { o.Clients = 0 },
		"1 to 64000, not 64001": func(o *Options) { o.Clients = 64001 },
		"duration":              func(o *Options) { o.Duration = 0 },
		"rate is":               func(o *Options) { o.Rate = -1 },
		"rate":                  func(o *Options) { o.Rate = math.NaN() },
		"thousand million":      func(o *Options) { o.Rate = math.Inf(1) },
		"no plan":               func(o *Options) { o.Plan = nil },
	} {
		o := good
		change(&o)
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
