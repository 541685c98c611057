package server

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A socket is the stream of a connection that was parked.
type socket struct{ *os.File }

// newSocket returns the stream of a connected, non-blocking socket.
func newSocket(fd int) stream { return socket{os.NewFile(uintptr(fd), "connection")} }

// CloseWrite is that of net.TCPConn.
func (s socket) CloseWrite() error {
	return s.control(func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) })
}

// SetLinger is that of net.TCPConn.
func (s socket) SetLinger(seconds int) error {
	return s.control(func(fd int) error {
		return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: int32(seconds)})
	})
}

func (s socket) control(do func(fd int) error) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var done error
	if err := raw.Control(func(fd uintptr) { done = do(int(fd)) }); err != nil {
		return err
	}
	return done
}

// streamGone is socketGone for a stream.
func streamGone(nc stream) bool {
	conn, ok := nc.(syscall.Conn)
	if !ok {
		return false // unknown
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	err = raw.Control(func(fd uintptr) { gone = socketGone(int(fd)) })
	return gone || err != nil // an error: already closed on this side
}

// socketGone reports whether the other end of a socket has closed and all that it sent has been read:
// a peek finds the end of the stream, recv(2).
func socketGone(fd int) bool {
	var one [1]byte
	n, _, err := unix.Recvfrom(fd, one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err == nil && n == 0 || err == unix.ECONNRESET
}

// shutDown ends a connection in both directions. It fails where the other end has done so.
func shutDown(fd int) { _ = unix.Shutdown(fd, unix.SHUT_RDWR) }
