package server_test

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// TestUrgentData: what a client sends behind urgent data, which no message of the protocol is,
// gets its reply as if that were not there, parked or not.
func TestUrgentData(t *testing.T) {
	h := start(t, defaults())
	p := h.parked(t)
	raw, err := p.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var all []error
	err = raw.Control(func(fd uintptr) { // all of it comes at once
		all = append(all,
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 1),
			unix.Sendto(int(fd), []byte(`{"step_id":2}`), 0, nil),
			unix.Sendto(int(fd), []byte{'!'}, unix.MSG_OOB, nil),
			unix.Sendto(int(fd), []byte(`{"step_id":3}`), 0, nil),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 0))
	})
	if err := errors.Join(append(all, err)...); err != nil {
		t.Fatal(err)
	}
	p.expect(`{"step_id":2,"error_code":0}`)
	p.expect(`{"step_id":3,"error_code":0}`)
	h.park(t, 1)
	p.send(`{"step_id":4}`)
	p.expect(`{"step_id":4,"error_code":0}`)
}
