package eventloop

import (
	"testing"

	"golang.org/x/sys/unix"
)

type nobody struct{ name string }

func (*nobody) Ready(*Round, bool) {}

// TestFoundForAnother: what a loop has found of a socket is not told to who has the next one of
// the same number.
func TestFoundForAnother(t *testing.T) {
	l, err := newLoop()
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	first, second := &nobody{"first"}, &nobody{"second"}
	number := hungUp(t)
	if err := l.add(number, first); err != nil {
		t.Fatal(err)
	}
	n, err := l.wait()
	if n != 1 || err != nil {
		t.Fatalf("%d events, %v", n, err)
	}
	if !l.look(n) || l.due[0] != first {
		t.Errorf("due is %v", l.due[0])
	}
	l.due[0] = nil

	l.remove(number)
	next := hungUp(t)
	if err := unix.Dup3(next, number, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := l.add(number, second); err != nil {
		t.Fatal(err)
	}
	if !l.look(n) || l.due[0] != nil {
		t.Errorf("%v is told of what came before it", l.due[0])
	}
	if n, err = l.wait(); n != 1 || err != nil { // what is its own it is told
		t.Fatalf("%d events, %v", n, err)
	}
	if !l.look(n) || l.due[0] != second {
		t.Errorf("due is %v", l.due[0])
	}
	l.stop()
	if l.look(0) {
		t.Error("goes on after the stop")
	}
}

// hungUp returns a socket of which there is something to tell.
func hungUp(t *testing.T) int {
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
