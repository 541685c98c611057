package server

import (
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
)

// A socket is the stream of a connection that has been parked.
type socket struct{ *os.File }

// newSocket returns the stream of a connected socket, which must not block.
func newSocket(fd int) stream { return socket{os.NewFile(uintptr(fd), "connection")} }

// CloseWrite ends our side of the connection.
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

// take closes the stream and returns its socket; false when there is none to be had.
func take(nc stream) (fd int, ok bool) {
	conn, ok := nc.(interface {
		io.Closer
		syscall.Conn
	})
	if !ok {
		return -1, false
	}
	fd, err := eventloop.Take(conn)
	return fd, err == nil
}

// streamGone is isGone for a stream.
func streamGone(nc stream) bool {
	conn, ok := nc.(syscall.Conn)
	if !ok {
		return false // there is no telling
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	err = raw.Control(func(fd uintptr) { gone = isGone(int(fd)) })
	return gone || err != nil // an error: closed here already
}

// isGone reports whether the other end of a socket has closed and everything it sent has been
// read: a peek that would find the end of the stream, recv(2).
func isGone(fd int) bool {
	var one [1]byte
	n, _, err := unix.Recvfrom(fd, one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err == nil && n == 0 || err == unix.ECONNRESET
}

// shutDown ends a connection both ways. What fails has been done by the other end.
func shutDown(fd int) { _ = unix.Shutdown(fd, unix.SHUT_RDWR) }
