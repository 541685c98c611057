//go:build unix

package server_test

import (
	"syscall"
	"testing"
)

// TestOutOfDescriptors: with no descriptor left for a connection the server waits, and goes
// on as soon as there is one.
func TestOutOfDescriptors(t *testing.T) {
	h := start(t, defaults())
	p := h.parked(t) // and so its descriptor stays the one that it is
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	next, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0) // the next free number
	if err != nil {
		t.Fatal(err)
	}
	low := before
	low.Cur = uint64(next) + 1 // one more for the client's end, none for the server's
	if err := syscall.Close(next); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	restore := func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
	}
	defer restore()
	waiting := h.dial(t)
	waiting.send(`{"step_id":1}`)
	p.send(`{"step_id":2}`)
	p.expect(`"error_code":0`) // those that are served already go on
	if accepted := h.Stats().Accepted; accepted != 1 {
		t.Fatalf("%d connections accepted, want the limit to hold back the second", accepted)
	}
	restore()
	waiting.expect(`"error_code":0`)
}
