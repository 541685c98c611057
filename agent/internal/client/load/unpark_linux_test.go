package load

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
)

// cork has what is written next leave in one packet with the end of the stream, tcp(7).
func cork(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Error(err)
		return
	}
	var done error
	err = raw.Control(func(fd uintptr) { done = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 1) })
	if err := errors.Join(err, done); err != nil {
		t.Error(err)
	}
}

// An unusual reply gives a client its goroutine back with the state of the exchange in flight,
// and the client is parked again later. The steps are counted exactly.
func TestUnpark(t *testing.T) {
	const at, last = 13, 13 + 3*parkAfter
	half := func(t *testing.T, conn *net.TCPConn, answer string) bool {
		sent := write(conn, answer[:len(answer)/2])
		awaitGoroutines(t, 1)
		return sent
	}
	for name, test := range map[string]struct {
		// deliver sends the answer to step 3 of the second session.
		deliver func(t *testing.T, conn *net.TCPConn, answer string) bool
		kind    string // of the trouble that there must be; empty for none
		example string // how it ends
		steps   int    // how many of the steps must be right, of the one delivered so and its followers
		conns   uint64
	}{
		"as usual": {func(_ *testing.T, conn *net.TCPConn, answer string) bool { return write(conn, answer) },
			"", "", 1, 1},
		"in halves": {func(t *testing.T, conn *net.TCPConn, answer string) bool {
			return half(t, conn, answer) && write(conn, answer[len(answer)/2:])
		}, "", "", 1, 1},
		"its newline later": {func(t *testing.T, conn *net.TCPConn, answer string) bool {
			sent := write(conn, strings.TrimSpace(answer))
			awaitGoroutines(t, 1)
			return sent && write(conn, "\n")
		}, "", "", 1, 1},
		"another form": {func(_ *testing.T, conn *net.TCPConn, _ string) bool {
			return write(conn, `{ "error_code": 0, "step_id": 3, "more": [] }`+"\n")
		}, "", "", 1, 1},
		"wrong": {func(_ *testing.T, conn *net.TCPConn, _ string) bool {
			return write(conn, `{"step_id":4,"error_code":0}`+"\n")
		}, "wrong_step", `"{\"step_id\":4,\"error_code\":0}\n"`, 0, 2},
		"undecided": {func(_ *testing.T, conn *net.TCPConn, _ string) bool {
			return write(conn, `{"step_id":3,"error_code":1,"reason":"busy"}`+"\n")
		}, "busy", `\"busy\"}\n"`, 0, 1},
		"twice": {func(_ *testing.T, conn *net.TCPConn, answer string) bool { return write(conn, answer+answer) },
			"unasked_reply", "after the reply", 0, 2},
		"and a half": {func(_ *testing.T, conn *net.TCPConn, answer string) bool { return write(conn, answer+answer[:9]) },
			"unasked_reply", `"{\"step_id" after the reply`, 0, 2},
		"too long": {func(_ *testing.T, conn *net.TCPConn, answer string) bool {
			return write(conn, strings.Repeat(" ", bufferBytes-len(answer))+answer)
		}, "", "", 1, 1},
		"closed": {func(*testing.T, *net.TCPConn, string) bool { return false }, "connection_lost", "EOF", 0, 2},
		"closed behind it": {func(_ *testing.T, conn *net.TCPConn, answer string) bool {
			write(conn, answer)
			return false
		}, "connection_lost", "", 1, 2},
		"ended with it, and still read": {func(t *testing.T, conn *net.TCPConn, answer string) bool {
			cork(t, conn)
			return write(conn, answer) && conn.CloseWrite() == nil
		}, "connection_lost", "EOF", 0, 2}, // it reads one request more, and cannot answer
		"closed in the middle": {func(t *testing.T, conn *net.TCPConn, answer string) bool {
			half(t, conn, answer)
			return false
		}, "connection_lost", "EOF", 0, 2},
		"reset": {func(_ *testing.T, conn *net.TCPConn, _ string) bool {
			_ = conn.SetLinger(0) // cannot fail while it is open
			return false
		}, "connection_lost", "connection reset by peer", 0, 2},
		"reset in the middle": {func(t *testing.T, conn *net.TCPConn, answer string) bool {
			half(t, conn, answer)
			_ = conn.SetLinger(0) // as above
			return false
		}, "connection_lost", "connection reset by peer", 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			agent := newUnusualAgent(t, func(_ int, r request) string { return r.right() },
				func(place int, conn *net.TCPConn, answer string) bool {
					switch place {
					case at:
						return test.deliver(t, conn, answer)
					case last:
						awaitGoroutines(t, 0)
						cancel()
					}
					return write(conn, answer)
				})
			o := options(t, agent.address, 1)
			o.Wait = time.Hour
			result, err := Run(ctx, o)
			if err != nil {
				t.Fatal(err)
			}
			all := result.Troubles()
			switch {
			case test.kind == "" && len(all) > 0, test.kind != "" && (len(all) != 1 || all[0].Kind != test.kind ||
				all[0].Count != 1 || !strings.HasSuffix(all[0].Example, test.example)):
				t.Errorf("got %+v", all)
			}
			if result.Steps != uint64(agent.count()-1+test.steps) || result.Made != test.conns {
				t.Errorf("%d steps of %d requests on %d connections", result.Steps, agent.count(), result.Made)
			}
		})
	}
}

// A loop may call Ready without data, whether the client is parked or no longer so.
func TestSpuriousReady(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answer := make(chan struct{})
	agent := newFakeAgent(t, func(_ int, r request) string {
		<-answer
		return r.right()
	})
	r := newRun(ctx, options(t, agent.address, 1))
	if err := errors.Join(r.connect(), r.startLoops()); err != nil {
		t.Fatal(err)
	}
	defer r.loops.Close()
	c, round := r.clients[0], &eventloop.Round{Buffer: make([]byte, eventloop.BufferBytes)}
	r.begins = time.Now()
	r.ends = r.begins.Add(time.Hour)
	r.running.Add(1)
	c.start()
	c.Ready(round, false)
	awaitGoroutines(t, 0)
	r.stopped.Store(true)
	close(answer)
	r.running.Wait()
	c.Ready(round, true)
	if result := r.result(time.Now()); result.Steps != 1 || len(result.Troubles()) > 0 {
		t.Errorf("%d steps, and %+v", result.Steps, result.Troubles())
	}
}
