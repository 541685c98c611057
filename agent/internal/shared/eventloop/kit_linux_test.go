package eventloop_test

import (
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
)

// patience bounds the wait for what normally happens at once.
const patience = time.Minute

// start starts loops, and checks at the end that no goroutine is left.
func start(t *testing.T, n int) *eventloop.Loops {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	loops, err := eventloop.New(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(loops.Close)
	return loops
}

// pair returns a socket for a loop and the connection that is its other end.
func pair(t testing.TB) (fd int, far *net.TCPConn) {
	t.Helper()
	near, far := connect(t)
	fd, err := eventloop.Take(near)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	return fd, far
}

// connect returns both ends of a TCP connection.
func connect(t testing.TB) (near, far *net.TCPConn) {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	far, err = net.DialTCP("tcp", nil, listener.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	near, err = listener.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = near.Close() // mostly closed already
		_ = far.Close()
	})
	return near, far
}

func send(t testing.TB, far *net.TCPConn, text string) {
	t.Helper()
	if _, err := far.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// A seen is what a handler found when it was called.
type seen struct {
	text  string
	err   syscall.Errno
	ended bool
}

// A handler tells of each call. It reads once, as many bytes as it is to.
type handler struct {
	fd    int
	bytes int
	calls chan seen
}

// handle adds a socket to the loops with a handler that reads that many bytes at a call.
func handle(t testing.TB, loops *eventloop.Loops, fd, bytes int) *handler {
	t.Helper()
	h := &handler{fd: fd, bytes: bytes, calls: make(chan seen, 100)}
	if err := loops.Add(fd, h); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *handler) Ready(round *eventloop.Round, ended bool) {
	n, err := eventloop.Read(h.fd, round.Buffer[:h.bytes])
	h.calls <- seen{string(round.Buffer[:n]), err, ended}
}

// next returns what the handler finds at the next call.
func (h *handler) next(t testing.TB) seen {
	t.Helper()
	return await(t, h.calls)
}

// quiet reports a call that has come though none was due. All that was sent before has been seen by
// the loops when they have called another handler of the same loop for something sent later.
func (h *handler) quiet(t testing.TB) {
	t.Helper()
	select {
	case got := <-h.calls:
		t.Errorf("called for nothing: %+v", got)
	default:
	}
}

func await[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(patience):
		t.Fatal(os.ErrDeadlineExceeded)
		panic("not reached")
	}
}

// A round has its loop go round once: all that was to be told by then has been.
type round struct {
	fd   int
	far  *net.TCPConn
	self *handler
}

// rounds returns what has a single loop go round.
func rounds(t testing.TB, loops *eventloop.Loops) *round {
	t.Helper()
	fd, far := pair(t)
	return &round{fd, far, handle(t, loops, fd, 1)}
}

// turn returns when the loop has told of all that there was before.
func (r *round) turn(t testing.TB) {
	t.Helper()
	for range 2 { // the first may be told in the midst of a round
		send(t, r.far, ".")
		if got := r.self.next(t); got.text != "." {
			t.Fatalf("got %+v", got)
		}
	}
}
