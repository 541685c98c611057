package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/validator"
)

// gate is a validator that says when a step with id 2 is there, and judges it once let go.
func gate() (member judge.Member, there <-chan struct{}, let func()) {
	arrived, leave := make(chan struct{}, 16), make(chan struct{})
	return judge.Member{Name: "gate", Validator: validate(
		func(ctx context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
			if step.ID == 2 {
				arrived <- struct{}{}
				select {
				case <-leave:
				case <-ctx.Done():
					return validator.Verdict{}, ctx.Err()
				}
			}
			return validator.PassWith(nil), nil
		})}, arrived, func() { close(leave) }
}

// dialRefused waits until a shutdown has begun, which takes no connections.
func (h *harness) dialRefused(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", h.addr)
		if err != nil {
			return
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("connections are still accepted during the shutdown")
		}
	}
}

// TestShutdownAnswersStepsInFlight: what is being judged gets its reply, what was sent ahead
// is told that it is not judged, idle connections just close, and no new ones are accepted.
func TestShutdownAnswersStepsInFlight(t *testing.T) {
	t.Parallel()
	member, there, let := gate()
	h := start(t, defaults(), member)
	idle, busy := h.dial(t), h.dial(t)
	idle.send(`{"step_id":1}`)
	idle.expect(`"error_code":0`)
	busy.send(`{"step_id":1}{"step_id":2}{"step_id":3,"req":"ahead"}`)
	busy.expect(`{"step_id":1,"error_code":0}`)
	<-there

	down := make(chan error, 1)
	go func() { down <- h.Shutdown(context.Background()) }()
	idle.expectClosed()
	h.dialRefused(t)
	let()
	busy.expect(`{"step_id":2,"error_code":0}`)
	busy.expect(`{"step_id":3,"error_code":1,"req":"ahead","reason":"shutting_down"`)
	busy.expectClosed()
	if err := <-down; err != nil {
		t.Error(err)
	}
}

// TestShutdownLosesNoReply to a client that sends ahead more than the agent ever reads: to
// close on unread bytes would reset the connection and throw away what is not sent yet.
func TestShutdownLosesNoReply(t *testing.T) {
	t.Parallel()
	const ahead = 3000
	member, there, let := gate()
	h := start(t, defaults(), member)
	p := h.dial(t)
	p.send(`{"step_id":1}{"step_id":2}` + strings.Repeat(`{"step_id":3}`, ahead))
	<-there
	down := make(chan error, 1)
	go func() { down <- h.Shutdown(context.Background()) }()
	h.dialRefused(t)
	let()
	p.expect(`{"step_id":1,"error_code":0}`)
	p.expect(`{"step_id":2,"error_code":0}`)
	rest, err := io.ReadAll(p.lines)
	if err != nil {
		t.Errorf("the connection did not end well: %v", err)
	}
	if n := bytes.Count(rest, []byte("\n")); n >= ahead {
		t.Errorf("the agent read all %d messages: the test proves nothing", n)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}

// endByForce stops the server while a step is at the gate, which gets its reply although the time is over.
func (h *harness) endByForce(t *testing.T, there <-chan struct{}) {
	t.Helper()
	p := h.dial(t)
	p.send(`{"step_id":1}{"step_id":2}`)
	p.expect(`{"step_id":1,"error_code":0}`)
	<-there
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := h.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown returned %v, want that its time was over", err)
	}
	p.expect(`{"step_id":2,"error_code":1,"reason":"shutting_down"`)
	p.expectClosed()
}

// TestShutdownByForce: past the grace time the rest is closed, and the step in flight is
// not reported as the client's fault.
func TestShutdownByForce(t *testing.T) {
	t.Parallel()
	member, there, _ := gate()
	h := start(t, defaults(), member)
	h.endByForce(t, there)
	if err := h.Shutdown(context.Background()); err != nil {
		t.Errorf("the second shutdown returned %v", err)
	}
	if stats := h.sessions.Stats(); stats.Failed != 0 {
		t.Errorf("%+v: the step in flight was held against the client", stats)
	}
}

// TestShutdownByForceWhenIdle: without a connection the end of the context is no error.
func TestShutdownByForceWhenIdle(t *testing.T) {
	h := start(t, defaults())
	p := h.dial(t)
	p.send(`{"step_id":1}`)
	p.expect(`"error_code":0`)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); h.Stats().Open > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the connection does not end")
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.Shutdown(ctx); err != nil {
		t.Errorf("shutdown returned %v with nothing open", err)
	}
}

// A defective judge panics at the step with id 2.
type defective struct{ sound *judge.Judge }

func (d defective) Judge(ctx context.Context, s judge.Session, step judge.Step) judge.Judgement {
	if step.ID == 2 {
		panic("defect")
	}
	return d.sound.Judge(ctx, s, step)
}

func (d defective) Try(s judge.Session, step judge.Step) (judge.Judgement, bool) {
	return d.sound.Try(s, step)
}

func (d defective) First() judge.Expectation { return d.sound.First() }

// TestPanicEndsOneConnection: a defect behind one connection closes that one and no other,
// and its session can be taken up again.
func TestPanicEndsOneConnection(t *testing.T) {
	h := startJudged(t, defaults(), io.Discard, defective{judge.New(chain(t))})
	p, other := h.dial(t), h.dial(t)
	other.send(`{"step_id":1}`)
	other.expect(`{"step_id":1,"error_code":0}`)
	p.send(`{"step_id":1,"session":"s"}{"step_id":2,"session":"s"}`)
	p.expect(`{"step_id":1,"error_code":0`)
	p.expect(`{"step_id":null,"error_code":1,"reason":"internal"`)
	p.expectClosed()

	other.send(`{"step_id":3}`)
	other.expect(`"out_of_order"`)
	again := h.dial(t)
	again.send(`{"step_id":7,"session":"s"}`)
	again.expect(`step 2 must come now`)
}

// TestShutdownBoundsPartialMessage: a client that has begun a message and does not go
// on does not hold up a stop.
func TestShutdownBoundsPartialMessage(t *testing.T) {
	t.Parallel()
	h := start(t, defaults())
	half := h.dial(t)
	half.send(`{"step_id":1}{"step`)
	half.expect(`"error_code":0`) // so that the half message has arrived too
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	down := make(chan error, 1)
	go func() { down <- h.Shutdown(ctx) }()
	half.expectClosed()
	if err := <-down; err != nil {
		t.Errorf("the shutdown took its whole time: %v", err)
	}
}

// TestShutdownDoesNotWaitForASplit: the second half of a reply comes at once.
func TestShutdownDoesNotWaitForASplit(t *testing.T) {
	t.Parallel()
	h := start(t, defaults(), faulty(validator.Fault{Kind: validator.FaultSplit, Delay: time.Hour}))
	p := begin(h.dial(t))
	half := make([]byte, 1)
	if _, err := io.ReadFull(p.lines, half); err != nil || half[0] != '{' {
		t.Fatalf("got %q, %v", half, err)
	}
	if err := p.lines.UnreadByte(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := h.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	p.expect(`{"step_id":2,"error_code":0}`)
	p.expectClosed()
}
