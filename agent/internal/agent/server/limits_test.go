package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

func TestTooManyConnections(t *testing.T) {
	o := defaults()
	o.Connections = 2
	h := start(t, o)
	first, second := h.dial(t), h.dial(t)
	first.send(`{"step_id":1}`)
	first.expect(`"error_code":0`)
	second.send(`{"step_id":1}`)
	second.expect(`"error_code":0`)

	third := h.dial(t)
	third.send(`{"step_id":1}`) // what was sent must not cost the client the reply
	third.expect(`"step_id":null`, `"busy"`, "2 connections")
	third.expectClosed()

	first.send(`{"step_id":2}`)
	first.expect(`"error_code":0`)
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "a place", func() bool { return h.Stats().Open == 1 })
	fourth := h.dial(t)
	fourth.send(`{"step_id":1}`)
	fourth.expect(`"error_code":0`)
}

// TestChangedMessageBytes: a new limit applies to open connections too.
func TestChangedMessageBytes(t *testing.T) {
	o := defaults()
	h := start(t, o)
	p := h.dial(t)
	long := `{"step_id":1,"x":"` + strings.Repeat("x", 200) + `"}`
	p.send(long)
	p.expect(`"error_code":0`)
	o.MessageBytes = 100
	h.SetOptions(o)
	p.send(long)
	p.expect(`"bad_message"`, "the limit is 100 bytes")
}

func TestTooManyConnectionsFromOneAddress(t *testing.T) {
	o := defaults()
	o.ConnectionsPerAddress = 1
	h := start(t, o)
	first := h.dial(t)
	first.send(`{"step_id":1}`)
	first.expect(`"error_code":0`)
	second := h.dial(t)
	second.expect(`"busy"`, "from this address")
	second.expectClosed()

	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	conn, err := dialer.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, `{"step_id":1}`); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 64)
	n, err := conn.Read(reply)
	if err != nil || !strings.Contains(string(reply[:n]), `"error_code":0`) {
		t.Errorf("another address got %q, %v", reply[:n], err)
	}
}

func TestMessageTime(t *testing.T) {
	o := defaults()
	o.MessageTime = 50 * time.Millisecond
	p := start(t, o).dial(t)
	p.send(`{"step_id"`)
	p.expect(`"bad_message"`, "within 50ms")
	p.expectClosed()
}

func TestIdleConnectionCloses(t *testing.T) {
	o := defaults()
	h := start(t, o)
	p := h.parked(t)
	o.IdleTimeout = 50 * time.Millisecond // in force from the next message, or the next connection
	h.SetOptions(o)
	h.dial(t).expectClosed()

	// A declared interval is no idleness.
	p.send(`{"step_id":2,"interval":600}`)
	p.expect(`"error_code":0`)
	h.dial(t).expectClosed() // the idle timeout has gone by
	p.send(`{"step_id":3}`)
	p.expect(`"error_code":0`)
	p.expectClosed()
}

// TestReplyNotTaken: a client that never reads is dropped without effect on others. The
// connections are pipes: they hold no unread bytes, unlike a socket whose buffers
// are full.
func TestReplyNotTaken(t *testing.T) {
	o := defaults()
	o.ReplyTime = 100 * time.Millisecond
	var log lockedBuffer
	pipes := newPipes()
	h := startOn(t, pipes, o, &log, judge.New(chain(t)))
	deaf, honest := pipes.dial(t), pipes.dial(t)
	if _, err := io.WriteString(deaf, `{"step_id":1,"session":"deaf"}`); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the deaf client to go", func() bool { return h.Stats().Accepted == 2 && h.Stats().Open == 1 })
	if !strings.Contains(log.String(), "reply not taken") {
		t.Errorf("no line says so:\n%s", log.String())
	}
	h.SetOptions(defaults()) // or it might seem deaf as well
	p := newPeer(t, honest)
	p.send(`{"step_id":1}`)
	p.expect(`"error_code":0`)
}

// A pipes is a listener whose connections hold nothing that has not been read.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func newPipes() *pipes {
	return &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipes) dial(t *testing.T) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close() })
	p.accepted <- theirs
	return ours
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.accepted:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

func TestPipelinedMessages(t *testing.T) {
	o := defaults()
	o.PipelinedMessages = 2
	h := start(t, o, faulty(validator.Fault{Kind: validator.FaultDelay, Delay: time.Hour}))
	p := h.dial(t)
	p.send(`{"step_id":1}{"step_id":2}{"step_id":2}{"step_id":4}`)
	p.expect(`{"step_id":1,"error_code":0}`)
	p.expect(`{"step_id":4,"error_code":1,"reason":"busy"`)
	if n := h.Stats().RefusedMessages; n != 1 {
		t.Errorf("%d messages refused, want 1", n)
	}
}

// TestRefusedMessagesAreCounted: messages that no validator was asked about, and no others.
func TestRefusedMessagesAreCounted(t *testing.T) {
	o := defaults()
	o.MessageTime = 50 * time.Millisecond
	h := start(t, o)
	h.sessions.SetOptions(session.Options{Steps: 10, IdleTimeout: time.Minute, MaxOpen: 1, MaxOpenPerAddress: 1})
	refused := func(want uint64, what string) {
		t.Helper()
		if n := h.Stats().RefusedMessages; n != want {
			t.Errorf("%d messages refused after %s, want %d", n, what, want)
		}
	}
	p := h.dial(t)
	p.send(`{"step_id":7}`)
	p.expect(`"reason":"out_of_order"`)
	refused(0, "a step that failed")
	p.send(`{"step_id":"2"}`)
	p.expect(`"reason":"bad_request"`)
	refused(1, "a bad request")
	p.send(`{"step_id":1,"session":"one too many"}`)
	p.expect(`"reason":"busy"`)
	refused(2, "a session past the limit")
	h.park(t, 1)
	p.send(`{"step_id":1,"session":"another"}`)
	p.expect(`"reason":"busy"`)
	refused(3, "a session past the limit, on a parked connection")
	p.send(`{"step_id":3`)
	p.expect(`"reason":"bad_message"`)
	refused(4, "a message that was not finished")
	p = h.dial(t)
	p.send(`[]`)
	p.expect(`"reason":"bad_message"`)
	refused(5, "a bad message")
	want := map[protocol.Reason]uint64{protocol.BadRequest: 1, protocol.Busy: 2, protocol.BadMessage: 2, protocol.ShuttingDown: 0, protocol.Internal: 0}
	if got := h.Stats().RefusedByReason; !maps.Equal(got, want) {
		t.Errorf("refused by reason: %v, want %v", got, want)
	}
}

// TestStepsAreTimed: each reply to a step counts, by a loop, by a goroutine for a parked connection and
// by a worker, and no other reply does.
func TestStepsAreTimed(t *testing.T) {
	h := start(t, defaults())
	p := h.dial(t)
	timed := func(want uint64, what string) {
		t.Helper()
		waitFor(t, what+" to be timed", func() bool { return h.Took().Count == want }) // after the reply was written
	}
	p.send(`{"step_id":1}`)
	p.expect(`"error_code":0`)
	timed(1, "the step of a worker")
	h.park(t, 1)
	p.send(`{"step_id":2}`)
	p.expect(`"error_code":0`)
	timed(2, "a step of a goroutine")
	h.park(t, 1)
	p.send(`{"step_id":3}`)
	p.expect(`"error_code":0`)
	timed(3, "a step of a loop")
	p.send(`{"step_id":"4"}`)
	p.expect(`"reason":"bad_request"`)
	if err := probe(t, h.Server, patience); err != nil {
		t.Fatal(err)
	}
	took := h.Took()
	if took.Count != 3 || took.Max <= 0 || took.Sum < took.Max || took.Sum > patience {
		t.Errorf("%d steps took %v, one of them %v", took.Count, took.Sum, took.Max)
	}
}

// TestSlowClients: a thousand clients that send a byte now and then do not hurt ten honest
// ones, and are gone once their message has taken too long.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	const slow, honest = 1000, 10
	o := defaults()
	o.MessageTime = time.Second
	h := start(t, o)
	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	for range slow {
		conn, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		clients.Go(func() {
			defer func() { _ = conn.Close() }()
			tick := time.NewTicker(o.MessageTime / 2)
			defer tick.Stop()
			for _, b := range []byte(`{"step_id":1,"timeout":5,"interval":1,"data":{}`) {
				if _, err := conn.Write([]byte{b}); err != nil {
					return
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	waitFor(t, "all slow clients", func() bool { return h.Stats().Accepted >= slow })
	for range honest {
		clients.Go(func() {
			p := h.dial(t)
			for round := range 20 {
				for step := 1; step <= 10; step++ {
					_, _ = fmt.Fprintf(p, `{"step_id":%d}`, step)
					if line, err := p.lines.ReadString('\n'); err != nil || !strings.Contains(line, `"error_code":0`) {
						t.Errorf("round %d: step %d got %q, %v", round, step, line, err)
						return
					}
				}
			}
		})
	}
	waitFor(t, "the slow ones to be closed", func() bool { return h.Stats().Open <= honest })
	cancel()
	clients.Wait()
	if failed := h.sessions.Stats().Failed; failed != 0 {
		t.Errorf("%d steps failed", failed)
	}
}

// TestFloodLogsLittle: many bad clients make few lines.
func TestFloodLogsLittle(t *testing.T) {
	var log lockedBuffer
	h := startLogging(t, defaults(), &log)
	for range 300 {
		p := h.dial(t)
		p.send("GET / HTTP/1.1\r\n\r\n")
		p.expect(`"bad_message"`)
		_ = p.Close()
	}
	if n := strings.Count(log.String(), "bad message"); n == 0 || n > 100 {
		t.Errorf("300 bad clients made %d lines", n)
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting for %s", what)
		}
	}
}

// A lockedBuffer is a log that a test reads while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestEachLimitIsLogged: past a limit there is a line that says so. Each limit of time is in force
// for no connection but the one that is to meet it.
func TestEachLimitIsLogged(t *testing.T) {
	var log lockedBuffer
	h := startLogging(t, defaults(), &log, faulty(validator.Fault{Kind: validator.FaultDelay, Delay: time.Hour}))
	limit := func(change func(*server.Options)) {
		o := defaults()
		change(&o)
		h.SetOptions(o)
	}
	logged := func(line string) {
		t.Helper()
		waitFor(t, "the line: "+line, func() bool { return strings.Contains(log.String(), line) })
	}

	limit(func(o *server.Options) { o.PipelinedMessages = 1 })
	p := h.dial(t)
	p.send(`{"step_id":1}{"step_id":2}{"step_id":3}`)
	p.expect(`"error_code":0`)
	p.expect(`"busy"`)
	logged("too many replies outstanding")
	_ = p.Close()

	limit(func(o *server.Options) { o.IdleTimeout = 50 * time.Millisecond })
	h.dial(t).expectClosed()
	logged("idle connection closed")

	limit(func(o *server.Options) { o.MessageTime = 50 * time.Millisecond })
	p = h.dial(t)
	p.send(`{`)
	p.expect(`"bad_message"`)
	logged("slow message")
	_ = p.Close()
	waitFor(t, "no connection", func() bool { return h.Stats().Open == 0 })

	limit(func(o *server.Options) { o.Connections = 3 })
	for range 3 {
		h.dial(t)
	}
	waitFor(t, "three connections", func() bool { return h.Stats().Open == 3 })
	h.dial(t).expect(`"busy"`)
	logged("connection refused")
}
