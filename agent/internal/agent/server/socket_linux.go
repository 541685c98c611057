package server

import (
	"cmp"
	"fmt"
	"net"
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
	return control(s, func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) })
}

// SetLinger is that of net.TCPConn.
func (s socket) SetLinger(seconds int) error {
	return control(s, func(fd int) error {
		return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: int32(seconds)})
	})
}

// control calls do with the socket of a connection.
func control(conn syscall.Conn, do func(fd int) error) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := raw.Control(func(fd uintptr) { err = do(int(fd)) })
	return cmp.Or(controlErr, err)
}

// unixPeer names the process at the other end of a unix socket, unix(7); empty for other connections.
func unixPeer(nc stream) (name string) {
	conn, ok := nc.(*net.UnixConn)
	if !ok {
		return ""
	}
	err := control(conn, func(fd int) error {
		cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err == nil {
			name = fmt.Sprintf("unix:uid=%d,pid=%d", cred.Uid, cred.Pid)
		}
		return err
	})
	if err != nil {
		return "unix" // already closed
	}
	return name
}

// streamGone is socketGone for a stream; false where that is unknown.
func streamGone(nc stream) (gone bool) {
	conn, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	err := control(conn, func(fd int) error {
		gone = socketGone(fd)
		return nil
	})
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
