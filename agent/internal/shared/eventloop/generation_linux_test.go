package eventloop

import (
	"testing"

	"golang.org/x/sys/unix"
)

type namedHandler struct{ name string }

func (*namedHandler) Ready(*Round, bool) {}

// TestEventOfEarlierSocket: an event of a socket does not reach the handler of the next one with the
// same number.
func TestEventOfEarlierSocket(t *testing.T) {
	l, err := newLoop()
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	loops := &Loops{all: []*loop{l}}
	first, second := &namedHandler{"first"}, &namedHandler{"second"}
	number := closedPeer(t)
	if err := loops.Add(number, first); err != nil {
		t.Fatal(err)
	}
	n, err := l.wait()
	if n != 1 || err != nil {
		t.Fatalf("%d events, %v", n, err)
	}
	if !l.dispatch(n) || l.due[0] != first {
		t.Errorf("due is %v", l.due[0])
	}
	l.due[0] = nil

	loops.Remove(number)
	next := closedPeer(t)
	if err := unix.Dup3(next, number, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := loops.Add(number, second); err != nil {
		t.Fatal(err)
	}
	if !l.dispatch(n) || l.due[0] != nil {
		t.Errorf("%v gets the event of the earlier socket", l.due[0])
	}
	if n, err = l.wait(); n != 1 || err != nil { // its own event reaches it
		t.Fatalf("%d events, %v", n, err)
	}
	if !l.dispatch(n) || l.due[0] != second {
		t.Errorf("due is %v", l.due[0])
	}
	l.close()
	if l.dispatch(0) {
		t.Error("runs after the close")
	}
}

// closedPeer returns a socket whose other end has closed.
func closedPeer(t *testing.T) int {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(pair[0]) })
	if err := unix.Close(pair[1]); err != nil {
		t.Fatal(err)
	}
	return pair[0]
}
