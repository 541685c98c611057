package eventloop_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
)

// said returns the next call for which there was something to read.
func (h *handler) said(t testing.TB) seen {
	t.Helper()
	for {
		if got := h.next(t); got.err != syscall.EAGAIN {
			return got
		}
	}
}

// waitFor waits until the events, and not only some of them, are to be had of a socket.
func waitFor(t testing.TB, fd int, events int16) {
	t.Helper()
	for until := time.Now().Add(patience); ; {
		polled := []unix.PollFd{{Fd: int32(fd), Events: events}}
		if _, err := unix.Poll(polled, int(time.Until(until).Milliseconds())); err != nil && !errors.Is(err, unix.EINTR) {
			t.Fatal(err)
		}
		if polled[0].Revents&events == events {
			return
		}
		if time.Now().After(until) {
			t.Fatal(os.ErrDeadlineExceeded)
		}
	}
}

func waitForData(t testing.TB, fd int) { waitFor(t, fd, unix.POLLIN) }
func waitForEnd(t testing.TB, fd int)  { waitFor(t, fd, unix.POLLIN|unix.POLLRDHUP) }

func readSoon(t testing.TB, fd int) string {
	t.Helper()
	waitForData(t, fd)
	var b [100]byte
	n, err := eventloop.Read(fd, b[:])
	if err != 0 {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestReadDoesNotWait(t *testing.T) {
	t.Parallel()
	fd, far := pair(t)
	var b [3]byte
	if n, err := eventloop.Read(fd, b[:]); n != 0 || err != syscall.EAGAIN {
		t.Errorf("nothing there: %d, %v", n, err)
	}
	send(t, far, "abcde")
	for _, want := range []string{"abc", "de"} {
		waitForData(t, fd)
		if n, err := eventloop.Read(fd, b[:]); string(b[:n]) != want || err != 0 {
			t.Errorf("got %q, %v, want %q", b[:n], err, want)
		}
	}
	if n, err := eventloop.Read(fd, nil); n != 0 || err != 0 && err != syscall.EAGAIN {
		t.Errorf("no room: %d, %v", n, err)
	}
	if err := far.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	waitForEnd(t, fd)
	for range 2 {
		if n, err := eventloop.Read(fd, b[:]); n != 0 || err != 0 {
			t.Errorf("at the end: %d, %v", n, err)
		}
	}
	if n, err := eventloop.Read(-1, b[:]); n != 0 || err != syscall.EBADF {
		t.Errorf("no socket: %d, %v", n, err)
	}
}

// TestWriteInParts: what the socket does not take at once is left to the caller.
func TestWriteInParts(t *testing.T) {
	t.Parallel()
	fd, far := pair(t)
	if n, err := eventloop.Write(fd, []byte("hello")); n != 5 || err != 0 {
		t.Fatalf("%d, %v", n, err)
	}
	want := []byte("hello")
	part, partial := bytes.Repeat([]byte("0123456789"), 1<<20), false
	for full := false; !full; {
		n, err := eventloop.Write(fd, part)
		full = err == syscall.EAGAIN
		if err != 0 && !full || full && n != 0 {
			t.Fatalf("%d, %v", n, err)
		}
		partial = partial || n > 0 && n < len(part)
		want = append(want, part[:n]...)
	}
	if !partial {
		t.Errorf("the socket took %d bytes and no part of them", len(want))
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("what came is not what was written: %v", err)
	}
}

// TestWriteWithoutReader is an error and no SIGPIPE. Where the program asks for that signal, as here, Go
// delivers it for any descriptor.
func TestWriteWithoutReader(t *testing.T) {
	fd, _ := pair(t)
	if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	const behind = syscall.SIGWINCH // is told after a SIGPIPE that came before, having a higher number
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGPIPE, behind)
	defer signal.Stop(signals)
	if n, err := eventloop.Write(fd, []byte("x")); n != 0 || err != syscall.EPIPE {
		t.Errorf("got %d, %v", n, err)
	}
	if err := syscall.Kill(os.Getpid(), behind); err != nil {
		t.Fatal(err)
	}
	if got := await(t, signals); got != behind {
		t.Errorf("got the signal %v", got)
	}
}

func TestTake(t *testing.T) {
	t.Parallel()
	near, far := connect(t)
	fd, err := eventloop.Take(near)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if _, err := near.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection: %v", err)
	}
	if n, err := eventloop.Write(fd, []byte("hello")); n != 5 || err != 0 {
		t.Errorf("the socket: %d, %v", n, err)
	}
	var b [5]byte
	if _, err := io.ReadFull(far, b[:]); string(b[:]) != "hello" {
		t.Errorf("got %q, %v", b, err)
	}
	send(t, far, "back")
	if got := readSoon(t, fd); got != "back" {
		t.Errorf("got %q", got)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("plugins would inherit the socket: flags %#x, %v", flags, err)
	}
	if _, err := eventloop.Take(near); !errors.Is(err, net.ErrClosed) {
		t.Errorf("taken twice: %v", err)
	}
}
