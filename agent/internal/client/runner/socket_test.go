package runner_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
)

// Over real sockets: a reset costs its own step and no other.
func TestResetOverLoopback(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for _, serve := range []script{each(good, reset), each(good)} {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serve(newPeer(conn))
			_ = conn.Close() // nothing is left to send
		}
	}()
	p := procedure(1, 2, 3)
	for i := range p.Steps {
		p.Steps[i].Timeout, p.Steps[i].Interval = time.Minute, time.Millisecond
	}
	run, err := runner.Run(t.Context(), p, runner.Options{Address: l.Addr().String(), RetryFor: -1})
	if err != nil {
		t.Fatal(err)
	}
	if outcomes(run) != "passed lost passed" || run.Verdict != record.Fail {
		t.Errorf("verdict %v, %s", run.Verdict, outcomes(run))
	}
	if detail := run.Steps[1].Detail; !strings.Contains(detail, "connection reset") {
		t.Errorf("detail %q", detail)
	}
	for _, step := range run.Steps[:2] {
		if step.Kept.Duration < time.Millisecond {
			t.Errorf("step %d: only %v of the interval were kept", step.Index, step.Kept.Duration)
		}
	}
	<-over
	_ = l.Close() // every connection is over
}

// reset closes the connection with RST.
func reset(p *peer) {
	if err := p.conn.(*net.TCPConn).SetLinger(0); err != nil {
		panic(err)
	}
	hangUp(p)
}

func TestNoAgentListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close() // now no agent listens there
	run, err := runner.Run(t.Context(), procedure(1, 2), runner.Options{Address: l.Addr().String()})
	if err != nil || !run.Unreached() || outcomes(run) != "unreachable not_run" || run.Verdict == record.Pass {
		t.Errorf("%+v, error %v", run, err)
	}
	if detail := run.Steps[0].Detail; !strings.Contains(detail, "connection refused") {
		t.Errorf("detail %q", detail)
	}
}
