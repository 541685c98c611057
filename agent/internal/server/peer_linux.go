package server

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerGone returns a function that reports whether the other end of the connection has
// closed and everything it sent has been read: a peek that would find the end of the stream,
// recv(2).
func peerGone(nc net.Conn) func() bool {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return func() bool {
		gone := false
		err := raw.Control(func(fd uintptr) {
			var one [1]byte
			n, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			gone = (err == nil && n == 0) || err == unix.ECONNRESET
		})
		return gone || err != nil // an error: closed here already
	}
}
