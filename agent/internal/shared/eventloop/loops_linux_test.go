package eventloop_test

import (
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
)

func TestReadyForDataAndEnd(t *testing.T) {
	loops := start(t, 1)
	fd, far := pair(t)
	h := handle(t, loops, fd, 100)
	// A socket that is added may be told of at once, though nothing has come.
	send(t, far, "one")
	if got := h.said(t); got.text != "one" || got.ended {
		t.Errorf("got %+v", got)
	}
	send(t, far, "two")
	if got := h.said(t); got.text != "two" || got.ended {
		t.Errorf("got %+v", got)
	}
	if err := far.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := h.said(t); got.text != "" || got.err != 0 || !got.ended {
		t.Errorf("at the end of the stream: got %+v", got)
	}
}

// TestEndAfterData: Ready reports the end together with the data.
func TestEndAfterData(t *testing.T) {
	loops := start(t, 1)
	fd, far := pair(t)
	send(t, far, "last")
	if err := far.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	waitForEnd(t, fd)
	h := handle(t, loops, fd, 100)
	if got := h.said(t); got.text != "last" || !got.ended {
		t.Errorf("got %+v", got)
	}
}

// TestReadyForReset: a reset ends the stream too.
func TestReadyForReset(t *testing.T) {
	loops := start(t, 1)
	fd, far := pair(t)
	h := handle(t, loops, fd, 100)
	if err := far.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	if got := h.said(t); got.err != syscall.ECONNRESET || !got.ended {
		t.Errorf("got %+v", got)
	}
}

// TestUrgentData: a read stops before urgent data, and no event of its own announces what follows.
func TestUrgentData(t *testing.T) {
	loops := start(t, 1)
	fd, far := pair(t)
	send(t, far, "one")
	sendUrgent(t, far)
	send(t, far, "two")
	waitFor(t, fd, unix.POLLIN|unix.POLLPRI)
	h := handle(t, loops, fd, 100)
	if got := h.said(t); got.text != "one" || !got.ended {
		t.Errorf("before it: got %+v", got)
	}
	addAgain(t, loops, h)
	if got := h.said(t); got.text != "two" {
		t.Errorf("behind it: got %+v", got)
	}
	send(t, far, "three")
	if got := h.said(t); got.text != "three" || got.ended {
		t.Errorf("after that: got %+v", got)
	}
}

// sendUrgent sends one byte of urgent data, which namedHandler asked for.
func sendUrgent(t *testing.T, far *net.TCPConn) {
	t.Helper()
	raw, err := far.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	controlErr := raw.Control(func(fd uintptr) { err = unix.Sendto(int(fd), []byte{'!'}, unix.MSG_OOB, nil) })
	if err := errors.Join(controlErr, err); err != nil {
		t.Fatal(err)
	}
}

// TestReadyOnce: there is no second call for unread data, unless the socket is added again.
func TestReadyOnce(t *testing.T) {
	loops := start(t, 1)
	rounds := rounds(t, loops)
	fd, far := pair(t)
	h := handle(t, loops, fd, 2)
	send(t, far, "abcdef")
	if got := h.said(t); got.text != "ab" {
		t.Errorf("got %+v", got)
	}
	rounds.turn(t)
	h.quiet(t)
	for _, want := range []string{"cd", "ef"} {
		addAgain(t, loops, h)
		if got := h.next(t); got.text != want {
			t.Errorf("again: got %+v, want %q", got, want)
		}
	}
	rounds.turn(t)
	h.quiet(t) // nothing is left
	send(t, far, "gh")
	if got := h.next(t); got.text != "gh" {
		t.Errorf("after that: got %+v", got)
	}
}

// addAgain takes a handler's socket out of the loops and adds it once more.
func addAgain(t *testing.T, loops *eventloop.Loops, h *handler) {
	t.Helper()
	loops.Remove(h.fd)
	if err := loops.Add(h.fd, h); err != nil {
		t.Fatal(err)
	}
}

func TestNotReadyAfterRemove(t *testing.T) {
	loops := start(t, 1)
	rounds := rounds(t, loops)
	fd, far := pair(t)
	h := handle(t, loops, fd, 100)
	send(t, far, "one")
	if got := h.said(t); got.text != "one" {
		t.Errorf("got %+v", got)
	}
	loops.Remove(fd)
	loops.Remove(fd) // changes nothing
	send(t, far, "two")
	rounds.turn(t)
	h.quiet(t)
	loops.Remove(1 << 20)

	next := handle(t, loops, fd, 100) // the socket is whole, and what has come is told
	if got := next.next(t); got.text != "two" {
		t.Errorf("added once more: got %+v", got)
	}
	h.quiet(t)
}

// TestReusedDescriptors: sockets come and go under the same few numbers, and each handler
// is told of its own alone.
func TestReusedDescriptors(t *testing.T) {
	loops := start(t, 2)
	number, _ := pair(t)
	for i := range 200 {
		fd, far := pair(t)
		if err := syscall.Dup3(fd, number, syscall.O_CLOEXEC); err != nil { // closes the one before
			t.Fatal(err)
		}
		_ = syscall.Close(fd)
		h := handle(t, loops, number, 100)
		if i%2 == 0 {
			send(t, far, "mine")
			if got := h.said(t); got.text != "mine" || got.ended {
				t.Fatalf("got %+v", got)
			}
		}
		_ = far.Close() // is about to be told when the next comes
		loops.Remove(number)
	}
}

// TestAddRefuses what it cannot wait for, and what it waits for already.
func TestAddRefuses(t *testing.T) {
	loops := start(t, 1)
	fd, far := pair(t)
	h := handle(t, loops, fd, 100)
	if err := loops.Add(fd, h); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("a second time: %v", err)
	}
	send(t, far, "still")
	if got := h.said(t); got.text != "still" {
		t.Errorf("after that: got %+v", got)
	}
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if err := loops.Add(int(file.Fd()), h); !errors.Is(err, syscall.EPERM) {
		t.Errorf("a file: %v", err)
	}
}

func TestCloseLeavesSockets(t *testing.T) {
	loops := start(t, 3)
	fd, far := pair(t)
	h := handle(t, loops, fd, 100)
	other, _ := pair(t)
	loops.Close()
	for len(h.calls) > 0 { // at the beginning
		<-h.calls
	}
	send(t, far, "hello")
	if got := readSoon(t, fd); got != "hello" {
		t.Errorf("got %q", got)
	}
	h.quiet(t)
	if err := loops.Add(other, h); !errors.Is(err, os.ErrClosed) {
		t.Errorf("added after the close: %v", err)
	}
	loops.Remove(fd)
	loops.Close()
}

// TestCloseWaits for the handler that is being called.
func TestCloseWaits(t *testing.T) {
	loops := start(t, 1)
	fd, far := pair(t)
	h := &slow{called: make(chan struct{}), goOn: make(chan struct{})}
	if err := loops.Add(fd, h); err != nil {
		t.Fatal(err)
	}
	send(t, far, "x")
	await(t, h.called)
	closed := make(chan struct{})
	go func() {
		loops.Close()
		if !h.over.Load() {
			t.Error("closed while a handler was being called")
		}
		close(closed)
	}()
	for !errors.Is(loops.Add(fd, h), os.ErrClosed) { // until the close is under way
		runtime.Gosched()
	}
	for range 1000 { // in which it could return, and must not
		runtime.Gosched()
	}
	h.goOn <- struct{}{}
	await(t, closed)
}

// TestCloseLeavesNoDescriptors of its own.
func TestCloseLeavesNoDescriptors(t *testing.T) {
	descriptors := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	before := descriptors()
	start(t, 8).Close()
	if after := descriptors(); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

type slow struct {
	once         sync.Once
	called, goOn chan struct{}
	over         atomic.Bool
}

func (s *slow) Ready(*eventloop.Round, bool) {
	s.once.Do(func() {
		close(s.called)
		<-s.goOn
		s.over.Store(true)
	})
}

// TestRemoveByAnotherHandler of the same round: at most one call is still to come.
func TestRemoveByAnotherHandler(t *testing.T) {
	loops := start(t, 1)
	rounds := rounds(t, loops)
	first, farFirst := pair(t)
	second, farSecond := pair(t)
	var calls atomic.Int32
	remove := func(other int) eventloop.Handler {
		return handlerFunc(func(*eventloop.Round, bool) {
			calls.Add(1)
			loops.Remove(other)
		})
	}
	if err := loops.Add(first, remove(second)); err != nil {
		t.Fatal(err)
	}
	if err := loops.Add(second, remove(first)); err != nil {
		t.Fatal(err)
	}
	send(t, farFirst, "x")
	send(t, farSecond, "x")
	rounds.turn(t)
	if n := calls.Load(); n < 1 || n > 2 {
		t.Errorf("%d calls", n)
	}
}

type handlerFunc func(*eventloop.Round, bool)

func (f handlerFunc) Ready(round *eventloop.Round, ended bool) { f(round, ended) }
