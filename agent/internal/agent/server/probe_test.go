package server_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/plugins/validator"
)

// probe probes the server once it accepts connections.
func probe(t *testing.T, s *server.Server, within time.Duration) (err error) {
	t.Helper()
	waitFor(t, "the server to accept", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		err = s.Probe(ctx)
		return err == nil || !strings.Contains(err.Error(), "yet")
	})
	return err
}

// probeVerdict probes a server that must give a verdict.
func probeVerdict(t *testing.T, s *server.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.ProbeVerdict(ctx); err != nil {
		t.Error(err)
	}
}

// TestProbe: a probe is answered when no client would be, and leaves no trace.
func TestProbe(t *testing.T) {
	o := defaults()
	o.Allow, o.Connections, o.ConnectionsPerAddress = nil, 0, 0
	var log lockedBuffer
	h := startLogging(t, o, &log, faulty(validator.Fault{Kind: validator.FaultWithhold}))
	before := log.String()
	h.dial(t).expectClosed()
	for range 20 {
		if err := probe(t, h.Server, patience); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.Stats(); n.Accepted != 0 || n.Open != 0 || n.Refused != 0 || n.NotAllowed != 1 {
		t.Errorf("probes are counted: %+v", n)
	}
	if n := h.sessions.Stats(); n.Passed+n.Failed+n.Undecided+n.Completed+n.Incomplete != 0 || n.Open != 0 {
		t.Errorf("probes are counted: %+v", n)
	}
	if lines := strings.TrimPrefix(log.String(), before); strings.Count(lines, "\n") > 1 {
		t.Errorf("probes are logged:\n%s", lines)
	}
}

// TestProbeGoesToTheValidators, although the answer to its step 1 is cached, each time in a session of
// its own, and takes no faults.
func TestProbeGoesToTheValidators(t *testing.T) {
	var seen []validator.Session
	watcher := judge.Member{Name: "watcher", Validator: validate(
		func(_ context.Context, s validator.Session, _ validator.Step) (validator.Verdict, error) {
			seen = append(seen, s)
			v := validator.PassWith(nil)
			v.Fault = &validator.Fault{Kind: validator.FaultWithhold}
			return v, nil
		})}
	h := start(t, defaults(), watcher)
	for range 2 {
		if err := probe(t, h.Server, patience); err != nil {
			t.Fatal(err)
		}
	}
	probeVerdict(t, h.Server)
	if len(seen) != 3 || seen[1].Position != 0 || seen[1].Steps != 1 {
		t.Errorf("the validators saw %+v", seen)
	}
}

// TestProbeDespiteFailures: failures of others than the agent do not fail a probe.
func TestProbeDespiteFailures(t *testing.T) {
	t.Parallel()
	noVerdict := map[string]string{"hangs": "validators give no verdict in time", "panics": "the step is not judged, validator_unavailable: "}
	for name, v := range map[string]validate{
		"hangs": func(ctx context.Context, _ validator.Session, _ validator.Step) (validator.Verdict, error) {
			<-ctx.Done()
			return validator.Verdict{}, ctx.Err()
		},
		"panics": func(context.Context, validator.Session, validator.Step) (validator.Verdict, error) { panic("no") },
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, defaults(), judge.Member{Name: name, Validator: v})
			if err := probe(t, h.Server, 2*time.Second); err != nil {
				t.Error(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if err := h.ProbeVerdict(ctx); err == nil || !strings.Contains(err.Error(), noVerdict[name]) {
				t.Errorf("without a verdict: %v", err)
			}
		})
	}
}

// A stuck is a judge that is deadlocked until it is let go.
type stuck struct {
	by  *judge.Judge
	let chan struct{}
}

func (s stuck) Judge(ctx context.Context, now judge.Session, step judge.Step) judge.Judgement {
	<-s.let
	return s.by.Judge(ctx, now, step)
}

func (s stuck) Try(now judge.Session, step judge.Step) (judge.Judgement, bool) {
	return s.by.Try(now, step)
}

func (s stuck) First() judge.Expectation { return s.by.First() }

// TestProbeFindsDeadlock: each probe fails until the judge works again, and the next one does
// not take over what is left of those before.
func TestProbeFindsDeadlock(t *testing.T) {
	by := stuck{judge.New(chain(t)), make(chan struct{})}
	h := startJudged(t, defaults(), io.Discard, by)
	for range 3 {
		err := probe(t, h.Server, 50*time.Millisecond)
		if err == nil || !strings.Contains(err.Error(), "no reply comes: context deadline exceeded") {
			t.Errorf("a probe of a deadlocked judge: %v", err)
		}
	}
	close(by.let)
	if err := probe(t, h.Server, patience); err != nil {
		t.Error(err)
	}
}

// TestProbeWithoutDeadline: a listener that cannot be woken cannot be probed.
func TestProbeWithoutDeadline(t *testing.T) {
	pipes := newPipes() // which have no deadline to wake them by
	h := startOn(t, pipes, defaults(), io.Discard, judge.New(chain(t)))
	if err := probe(t, h.Server, patience); err == nil || !strings.Contains(err.Error(), "has no deadline") {
		t.Errorf("a probe: %v", err)
	}
}

// TestProbesAmongClients: probes take no client's connection.
func TestProbesAmongClients(t *testing.T) {
	h := start(t, defaults())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100 {
			if err := probe(t, h.Server, patience); err != nil {
				t.Error(err)
			}
		}
	}()
	for clients := 0; ; clients++ {
		p := h.dial(t)
		p.send(`{"step_id":1}`)
		p.expect(`"error_code":0`)
		_ = p.Close()
		select {
		case <-done:
			if n := h.Stats().Accepted; n != uint64(clients)+1 {
				t.Errorf("%d clients, %d accepted", clients+1, n)
			}
			return
		default:
		}
	}
}
