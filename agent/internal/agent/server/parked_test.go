package server_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
	"github.com/stepagent/stepagent/plugins/validator"
)

// parked returns a client that has had its first step judged and whose connection is parked.
func (h *harness) parked(t *testing.T) *peer {
	t.Helper()
	p := h.dial(t)
	p.send(`{"step_id":1}`)
	p.expect(`{"step_id":1,"error_code":0}`)
	h.park(t, 1)
	return p
}

func (h *harness) park(t *testing.T, n int) {
	t.Helper()
	waitFor(t, "the connections to be parked", func() bool { return h.Parked() == n })
}

// TestParked: any bytes that a client sends when its connection is parked, in pieces of any size, get
// the reply that they get otherwise; and the connection is parked again.
func TestParked(t *testing.T) {
	pad := func(n int) string { // a message of n bytes
		m := `{"step_id":2,"x":""}`
		return strings.Replace(m, `""`, `"`+strings.Repeat("x", n-len(m))+`"`, 1)
	}
	const ok, next = `{"step_id":2,"error_code":0}`, `{"step_id":3,"error_code":0}`
	for name, c := range map[string]struct {
		pieces  []string
		replies []string
		closes  bool
	}{
		"whole":               {[]string{`{"step_id":2}`}, []string{ok}, false},
		"with data":           {[]string{`{"step_id":2,"data":{"a":[1,"}"]}}`}, []string{ok}, false},
		"with white space":    {[]string{" \r\n{\"step_id\":2}\n\n"}, []string{ok}, false},
		"white space alone":   {[]string{"\n", " ", `{"step_id":2}`}, []string{ok}, false},
		"in two pieces":       {[]string{`{"step_`, `id":2}`}, []string{ok}, false},
		"newline later":       {[]string{`{"step_id":2}`, "\n", `{"step_id":3}`}, []string{ok, next}, false},
		"two at once":         {[]string{`{"step_id":2}{"step_id":3}`}, []string{ok, next}, false},
		"one and a half":      {[]string{`{"step_id":2}{"step`, `_id":3}`}, []string{ok, next}, false},
		"as long as may be":   {[]string{pad(4096)}, []string{ok}, false},
		"too long":            {[]string{pad(4097)}, []string{`"bad_message"`}, true},
		"a field that is bad": {[]string{`{"step_id":"2"}`, `{"step_id":2}`}, []string{`"bad_request"`, ok}, false},
		"no object":           {[]string{`GET / HTTP/1.1`}, []string{`"bad_message"`}, true},
		"a failed step":       {[]string{`{"step_id":7}`}, []string{`{"step_id":7,"error_code":1,"reason":"out_of_order"`}, false},
		"who the agent is":    {[]string{`{"step_id":2,"client":"x"}`}, []string{`{"step_id":2,"error_code":0,"agent":"stepagent test"}`}, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, defaults())
			p := h.parked(t)
			for i, piece := range c.pieces {
				if i > 0 { // so that the one before is read by itself
					time.Sleep(5 * time.Millisecond)
				}
				p.send(piece)
			}
			for _, reply := range c.replies {
				p.expect(reply)
			}
			if c.closes {
				p.expectClosed()
				return
			}
			h.park(t, 1)
			p.send(`{"step_id":9}`)
			p.expect(`{"step_id":9,`)
		})
	}
}

// TestParkedAgainAfterCachedSteps: a client that never pauses is parked again once enough verdicts in a
// row were cached, and a step whose verdict is not cached unparks it.
func TestParkedAgainAfterCachedSteps(t *testing.T) {
	h := start(t, defaults())
	p := h.parked(t)
	exchange := func(id int) {
		p.send(fmt.Sprintf(`{"step_id":%d,"session":"s"}`, id))
		p.expect(fmt.Sprintf(`{"step_id":%d,`, id))
	}
	exchange(2) // not cached
	for n := 0; h.Parked() == 0; n++ {
		if n > 1000 { // each a fraction of the time after which a quiet client is parked
			t.Fatal("the connection is not parked again")
		}
		exchange(1)
	}
	exchange(1)
	exchange(2)
	exchange(3)
}

// TestParkingFails: a connection that no loop accepts keeps its worker, and parking is tried once.
func TestParkingFails(t *testing.T) {
	loops, err := eventloop.New(1)
	if err != nil {
		t.Fatal(err)
	}
	loops.Close() // accepts no socket from now on
	listener := listen(t)
	var log lockedBuffer
	h := startIn(t, loops, listener, defaults(), slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		judge.New(chain(t)))
	p := h.dial(t)
	for step := 1; step <= 3; step++ {
		p.send(fmt.Sprintf(`{"step_id":%d}`, step))
		p.expect(fmt.Sprintf(`{"step_id":%d,"error_code":0}`, step))
		time.Sleep(50 * time.Millisecond) // longer than it takes for a client to be quiet
	}
	if n := strings.Count(log.String(), "connection not parked"); n != 1 {
		t.Errorf("it was tried %d times:\n%s", n, log.String())
	}
}

// TestParkedFlood: a client that sends far ahead when its connection is parked gets all replies,
// in order.
func TestParkedFlood(t *testing.T) {
	h := start(t, defaults())
	p := h.parked(t)
	const ahead = 2000 // many times what a loop reads at once
	var messages strings.Builder
	for n := range ahead {
		fmt.Fprintf(&messages, `{"step_id":%d}`, n+1000)
	}
	go func() { _, _ = io.WriteString(p, messages.String()) }()
	for n := range ahead {
		p.expect(fmt.Sprintf(`{"step_id":%d,`, n+1000))
	}
	h.park(t, 1)
}

// TestParkedClientLeaves: a client that closes after its request still gets the reply.
func TestParkedClientLeaves(t *testing.T) {
	h := start(t, defaults())
	p := h.parked(t)
	p.send(`{"step_id":2}`)
	p.closeWrite()
	p.expect(`{"step_id":2,"error_code":0}`)
	p.expectClosed()
	for range 2 { // with nothing under way, in an orderly way and by a reset
		p := h.parked(t)
		_ = p.Conn.(*net.TCPConn).SetLinger(0)
		_ = p.Close()
		waitFor(t, "the connection to end", func() bool { return h.Stats().Open == 0 })
	}
}

// small is a listener whose connections have small buffers.
type small struct{ net.Listener }

func (s small) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	if err == nil {
		err = conn.(*net.UnixConn).SetWriteBuffer(4 << 10)
	}
	return conn, err
}

// TestParkedReplyNotTaken: a parked client that does not read its replies is dropped without
// effect on others; one that reads them late gets them all. The sockets are no TCP sockets,
// so that no bytes are on their way for long where a buffer is full.
func TestParkedReplyNotTaken(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	o := defaults()
	o.ReplyTime = 500 * time.Millisecond
	var log lockedBuffer
	h := startOn(t, small{listener}, o, &log, judge.New(chain(t)))
	dial := func() *peer {
		conn, err := net.Dial("unix", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return newPeer(t, conn)
	}
	deaf, late, honest := dial(), dial(), dial()
	ask := func(p *peer, session string, step int) {
		p.send(fmt.Sprintf(`{"step_id":%d,"session":%q}`, step, session))
	}
	for i, p := range []*peer{deaf, late, honest} {
		ask(p, fmt.Sprint(i), 1)
		p.expect(`"error_code":0`)
	}
	h.park(t, 3)
	dropped := make(chan struct{})
	go func() {
		defer close(dropped)
		for {
			if _, err := io.WriteString(deaf, `{"step_id":99,"session":"0"}`); err != nil {
				return
			}
			time.Sleep(time.Microsecond) // one message at a time, as a rule
		}
	}()
	const steps = 10
	for step := 2; step <= steps; step++ {
		ask(late, "1", step)
		ask(honest, "2", step)
		honest.expect(fmt.Sprintf(`{"step_id":%d,"error_code":0`, step))
	}
	<-dropped
	waitFor(t, "a line to say so", func() bool { return strings.Contains(log.String(), "reply not taken") })
	for step := 2; step <= steps; step++ {
		late.expect(fmt.Sprintf(`{"step_id":%d,"error_code":0`, step))
	}
	waitFor(t, "the deaf client to be gone", func() bool { return h.Stats().Open == 2 })
}

// TestShutdownOfParked: a parked connection closes at once, one with a step under way when that
// has its reply.
func TestShutdownOfParked(t *testing.T) {
	t.Parallel()
	member, there, let := gate()
	h := start(t, defaults(), member)
	idle, busy := h.parked(t), h.dial(t)
	busy.send(`{"step_id":1}`)
	busy.expect(`"error_code":0`)
	h.park(t, 2)
	busy.send(`{"step_id":2}`)
	<-there
	down := make(chan error, 1)
	go func() { down <- h.Shutdown(context.Background()) }()
	idle.expectClosed()
	let()
	busy.expect(`{"step_id":2,"error_code":0}`)
	busy.expectClosed()
	if err := <-down; err != nil {
		t.Error(err)
	}
}

// TestShutdownOfParkedByForce: the step in flight is not reported as the client's fault.
func TestShutdownOfParkedByForce(t *testing.T) {
	t.Parallel()
	member, there, _ := gate()
	h := start(t, defaults(), member)
	p := h.parked(t)
	p.send(`{"step_id":2}`)
	<-there
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := h.Shutdown(ctx); err == nil {
		t.Error("nothing says that its time was over")
	}
	p.expect(`{"step_id":2,"error_code":1,"reason":"shutting_down"`)
	p.expectClosed()
}

// A startling judge panics at the step with id 2, within the loop.
type startling struct{ defective }

func (s startling) Try(in judge.Session, step judge.Step) (judge.Judgement, bool) {
	if step.ID == 2 {
		panic("defect")
	}
	return s.sound.Try(in, step)
}

// TestPanicEndsOneParkedConnection, on a loop and beside it, and leaves its session to be taken up.
func TestPanicEndsOneParkedConnection(t *testing.T) {
	for name, by := range map[string]session.Judge{
		"waiting": defective{judge.New(chain(t))}, "cached": startling{defective{judge.New(chain(t))}},
	} {
		t.Run(name, func(t *testing.T) {
			h := startJudged(t, defaults(), io.Discard, by)
			p, other := h.dial(t), h.dial(t)
			for _, p := range []*peer{p, other} {
				p.send(`{"step_id":1,"session":"` + p.LocalAddr().String() + `"}`)
				p.expect(`{"step_id":1,"error_code":0`)
			}
			h.park(t, 2)
			p.send(`{"step_id":2,"session":"` + p.LocalAddr().String() + `"}`)
			p.expect(`{"step_id":null,"error_code":1,"reason":"internal"`)
			p.expectClosed()
			other.send(`{"step_id":3,"session":"` + p.LocalAddr().String() + `"}`)
			other.expect(`step 2 must come now`)
			h.park(t, 1)
		})
	}
}

// TestIdleTimeAfterSlowStep: the idle time of a parked connection runs from the reply, however long the
// step was judged.
func TestIdleTimeAfterSlowStep(t *testing.T) {
	member, there, let := gate()
	o := defaults()
	h := start(t, o, member)
	p := h.parked(t)
	p.send(`{"step_id":2}`)
	<-there
	judged := time.Now()
	let()
	p.expect(`{"step_id":2,"error_code":0}`)
	h.park(t, 1)
	if ends := h.IdleEnds(p.LocalAddr()); ends.Before(judged.Add(o.IdleTimeout)) {
		t.Errorf("the idle time ends %v too early", judged.Add(o.IdleTimeout).Sub(ends))
	}
}

// TestManyParked: connections on all loops, sessions that share them, and faults among the
// steps, all at once.
func TestManyParked(t *testing.T) {
	h := start(t, defaults(), faulty(validator.Fault{Kind: validator.FaultDelay, Delay: time.Millisecond}))
	const clients, rounds = 60, 5
	var all sync.WaitGroup
	for range clients {
		p := h.dial(t)
		all.Go(func() {
			for range rounds {
				for step := 1; step <= 10; step++ {
					_, _ = fmt.Fprintf(p, `{"step_id":%d}`, step)
					want := fmt.Sprintf(`{"step_id":%d,"error_code":0`, step)
					if line, err := p.lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, want) {
						t.Errorf("step %d got %q, %v", step, line, err)
						return
					}
				}
			}
		})
	}
	all.Wait()
	if n := h.sessions.Stats(); n.Passed != clients*rounds*10 || n.Failed+n.Undecided != 0 || n.Completed != clients*rounds {
		t.Errorf("%+v", n)
	}
	h.park(t, clients)
}
